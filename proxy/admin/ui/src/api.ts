// The gateway, as the page sees it: reads, changes, and the stream of events.

import type { Flow, Session } from './types.ts';

/** Refused is an answer that is not a success, with the gateway's own words. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function answer<T>(response: Response): Promise<T> {
  const body = await response.text();
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Refused(response.status, `the gateway answered ${response.status} with something that is not JSON`);
  }
  if (response.ok) return value as T;
  const words = (value as { error?: unknown } | null)?.error;
  throw new Refused(response.status, typeof words === 'string' ? words : `the gateway answered ${response.status}`);
}

export type Params = Record<string, string | number | undefined>;

/** query leaves out what is empty. */
export function query(params: Params): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== '' && value !== 0) q.set(name, String(value));
  }
  return q.size ? `?${q}` : '';
}

export async function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  return answer<T>(await fetch(path + query(params), { headers: { Accept: 'application/json' }, signal }));
}

/** post asks for a change. The header is one that a form of another page cannot send. */
export async function post<T>(path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { 'X-Sluice-Request': '1' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  return answer<T>(await fetch(path, { method: 'POST', headers, body: body === undefined ? undefined : JSON.stringify(body) }));
}

export function session(): Promise<Session> {
  return get<Session>('session');
}

// A gateway tells its state every second: after so long without, it is away. One
// that has ended is noticed at once, by the end of its stream.
const SILENCE_MS = 10000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 10000;

/**
 * Events keeps a stream of the gateway's state open, for as long as the page is,
 * and says when there is none.
 */
export class Events {
  private source?: EventSource;
  private retryMs = FIRST_RETRY_MS;
  private silence = 0;
  private again = 0;
  private readonly onFlow: (flow: Flow) => void;
  private readonly onAway: () => void;

  constructor(onFlow: (flow: Flow) => void, onAway: () => void) {
    this.onFlow = onFlow;
    this.onAway = onAway;
  }

  open(): void {
    window.clearTimeout(this.again);
    this.source?.close();
    const source = new EventSource('events?topics=flow');
    this.source = source;
    source.addEventListener('flow', (event) => {
      this.retryMs = FIRST_RETRY_MS;
      this.watch();
      this.onFlow(JSON.parse((event as MessageEvent<string>).data) as Flow);
    });
    // The browser's own retries end with the first answer that is not a stream,
    // so they are made here.
    source.addEventListener('error', () => this.retry());
    this.watch();
  }

  private watch(): void {
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.retry(), SILENCE_MS);
  }

  private retry(): void {
    window.clearTimeout(this.silence);
    window.clearTimeout(this.again);
    this.source?.close();
    this.onAway();
    this.again = window.setTimeout(() => this.open(), this.retryMs);
    this.retryMs = Math.min(LAST_RETRY_MS, this.retryMs * 2);
  }
}
