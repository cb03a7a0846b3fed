// What is carried each second, from counts that only grow.

import type { Flow, Traffic } from './types.ts';

/** Rate is what something carries now; connections are new ones. All a second. */
export interface Rate {
  received: number;
  sent: number;
  connections: number;
}

export const NONE: Rate = { received: 0, sent: 0, connections: 0 };

// How much of the newest second shows: less is calmer, and later.
const WEIGHT = 0.5;

/** key names one thing; no name has a NUL in it. */
export function key(...parts: string[]): string {
  return parts.join('\0');
}

/** each visits all that is counted in a flow. */
export function each(flow: Flow, visit: (key: string, traffic: Traffic) => void): void {
  for (const l of flow.listeners) {
    visit(key('listener', l.name), l.traffic);
    for (const c of l.filter_chains) {
      visit(key('chain', l.name, c.name), c.traffic);
      for (const d of c.destination) visit(key('destination', l.name, c.name, d.cluster), d.traffic);
    }
  }
  for (const c of flow.clusters) visit(key('cluster', c.name), c.traffic);
  for (const e of flow.endpoints) visit(key('endpoint', e.cluster, e.address), e.traffic);
}

/** Rates remembers the last flow, and knows the rate of everything in it. */
export class Rates {
  private last = new Map<string, Traffic>();
  private rates = new Map<string, Rate>();
  private time = 0;
  private started = '';

  /** take is called with each flow in turn. */
  take(flow: Flow): void {
    const now = Date.parse(flow.time);
    const seconds = (now - this.time) / 1000;
    // Of two processes, or where the clock was set back, no differences are known.
    const fresh = flow.server.started !== this.started || seconds < 0;
    if (seconds === 0 && !fresh) return; // it was told again
    const last = new Map<string, Traffic>();
    const rates = new Map<string, Rate>();
    each(flow, (k, t) => {
      last.set(k, t);
      const before = this.last.get(k);
      if (fresh || !before) return;
      const old = this.rates.get(k);
      const one = (is: number, was: number, smooth?: number): number => {
        const r = Math.max(0, is - was) / seconds;
        return smooth === undefined ? r : smooth + (r - smooth) * WEIGHT;
      };
      const r = {
        received: one(t.bytes_received, before.bytes_received, old?.received),
        sent: one(t.bytes_sent, before.bytes_sent, old?.sent),
        connections: one(t.connections, before.connections, old?.connections),
      };
      // A rate that only fades away is none.
      if (r.received < 1) r.received = 0;
      if (r.sent < 1) r.sent = 0;
      if (r.connections < 0.05) r.connections = 0;
      rates.set(k, r);
    });
    this.last = last;
    this.rates = rates;
    this.time = now;
    this.started = flow.server.started;
  }

  of(k: string): Rate {
    return this.rates.get(k) ?? NONE;
  }

  /** total is what all listeners carry. */
  total(flow: Flow): Rate {
    const sum = { ...NONE };
    for (const l of flow.listeners) {
      const r = this.of(key('listener', l.name));
      sum.received += r.received;
      sum.sent += r.sent;
      sum.connections += r.connections;
    }
    return sum;
  }
}
