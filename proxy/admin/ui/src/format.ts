// Numbers and times as people read them.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** bytes: 1536 is "1.5 KiB". */
export function bytes(n: number): string {
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

/** rate is for bytes a second. */
export function rate(n: number): string {
  return `${bytes(n)}/s`;
}

/** count separates thousands: 12,345. */
export function count(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

/** perSecond is for events a second. */
export function perSecond(n: number): string {
  return n >= 100 ? count(n) : n === 0 ? '0' : n.toFixed(1);
}

/** short is for axes and boxes: 12,345 is "12.3k". */
export function short(n: number): string {
  if (n < 1000) return n < 10 && n % 1 !== 0 ? n.toFixed(1) : String(Math.round(n));
  if (n < 1e6) return `${(n / 1e3).toFixed(n < 1e4 ? 1 : 0)}k`;
  return `${(n / 1e6).toFixed(1)}M`;
}

/** duration: milliseconds as the two largest units. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** plural: 1 connection, 2 connections. */
export function plural(n: number, what: string): string {
  return `${count(n)} ${what}${n === 1 ? '' : 's'}`;
}

export function clock(time: string | number): string {
  return new Date(time).toLocaleTimeString('en-GB');
}

/** moment is the time of day, with the date when that is another one. */
export function moment(time: string): string {
  const t = new Date(time);
  if (t.toDateString() === new Date().toDateString()) return clock(time);
  return t.toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}
