// Which boxes the picture has, and what flows between them. Pure functions.
//
// A configuration may have ten thousand filter chains. The picture has those
// that carry most, one box for the rest in each column, and always those that
// somebody has asked for.

import type { Cluster, Endpoint, FilterChain, Flow, Listener } from './types.ts';
import { key, type Rates } from './rates.ts';

export type Mode = 'connections' | 'throughput';
export type Kind = 'listener' | 'chain' | 'cluster' | 'endpoint';
export const KINDS: Kind[] = ['listener', 'chain', 'cluster', 'endpoint'];

/** Limits is how many boxes a column has at most. */
export type Limits = Record<Kind, number>;

/** Thing is what a box stands for. Exactly one of the last four is there, or rest is. */
export interface Thing {
  id: string;
  kind: Kind;
  listener?: Listener;
  chain?: FilterChain; // with its listener
  cluster?: Cluster;
  endpoint?: Endpoint;
  /** How many this box stands for together, which have none of their own. */
  rest?: number;
}

export interface Box extends Thing {
  active: number;
  rate: number; // bytes a second, both ways
}

export interface Link {
  id: string;
  from: string;
  to: string;
  active: number;
  rate: number;
  status: string; // of the endpoint that it leads to, when it is one
}

export interface Graph {
  boxes: Box[]; // column by column, from the top down
  links: Link[];
  all: Map<string, Thing>; // those without a box too
}

/** statusOf is one word for what an endpoint is: an ejection is told before health. */
export function statusOf(e: { status: string; outlier: string }): string {
  return e.outlier === 'ejected' && e.status !== 'drain' && e.status !== 'maint' ? 'ejected' : e.status;
}

// What has a box keeps it unless another carries clearly more.
const INCUMBENT = 1.25;

/**
 * choose takes the n heaviest of the things, those in keep first. Where only one
 * would be left, it has the room that a box for it would need.
 */
function choose(things: Box[], n: number, keep: Set<string>, before: Set<string>, mode: Mode): Set<string> {
  if (things.length <= n + 1) return new Set(things.map((t) => t.id));
  const weight = (t: Box): number => (mode === 'connections' ? t.active : t.rate) * (before.has(t.id) ? INCUMBENT : 1);
  const ranked = things
    .map((t, i) => ({ t, i }))
    .sort((a, b) => Number(keep.has(b.t.id)) - Number(keep.has(a.t.id)) || weight(b.t) - weight(a.t) || a.i - b.i);
  return new Set(ranked.slice(0, n).map(({ t }) => t.id));
}

/** build makes the picture of a flow. before is which boxes there were. */
export function build(
  flow: Flow, rates: Rates, mode: Mode, limits: Limits, keep: Set<string>, before: Set<string>,
): Graph {
  const columns = collect(flow, rates);
  const all = new Map<string, Thing>();
  const shown = {} as Record<Kind, Set<string>>;
  for (const kind of KINDS) {
    for (const box of columns[kind]) all.set(box.id, box);
    if (kind === 'endpoint') {
      // Endpoints of clusters that are seen come first.
      columns.endpoint.sort((a, b) =>
        Number(shown.cluster.has(key('cluster', b.endpoint!.cluster))) -
        Number(shown.cluster.has(key('cluster', a.endpoint!.cluster))));
    }
    shown[kind] = choose(columns[kind], limits[kind], keep, before, mode);
  }
  const place = (kind: Kind, id: string): string => (shown[kind].has(id) ? id : key('rest', kind));
  const links = connect(flow, rates, place);
  const boxes = order(columns, shown, links);
  return { boxes, links, all };
}

function collect(flow: Flow, rates: Rates): Record<Kind, Box[]> {
  const columns: Record<Kind, Box[]> = { listener: [], chain: [], cluster: [], endpoint: [] };
  const weigh = (id: string, active: number): { id: string; active: number; rate: number } => {
    const r = rates.of(id);
    return { id, active, rate: r.received + r.sent };
  };
  for (const listener of flow.listeners) {
    columns.listener.push({ ...weigh(key('listener', listener.name), listener.traffic.active), kind: 'listener', listener });
    for (const chain of listener.filter_chains) {
      const id = key('chain', listener.name, chain.name);
      columns.chain.push({ ...weigh(id, chain.traffic.active), kind: 'chain', chain, listener });
    }
  }
  for (const cluster of flow.clusters) {
    columns.cluster.push({ ...weigh(key('cluster', cluster.name), cluster.traffic.active), kind: 'cluster', cluster });
  }
  for (const endpoint of flow.endpoints) {
    const id = key('endpoint', endpoint.cluster, endpoint.address);
    columns.endpoint.push({ ...weigh(id, endpoint.traffic.active), kind: 'endpoint', endpoint });
  }
  return columns;
}

function connect(flow: Flow, rates: Rates, place: (kind: Kind, id: string) => string): Link[] {
  const links = new Map<string, Link>();
  const add = (from: string, to: string, counted: string, active: number, status = ''): void => {
    const r = rates.of(counted);
    const id = `${from}\n${to}`;
    const link = links.get(id);
    if (link) {
      link.active += active;
      link.rate += r.received + r.sent;
      if (link.status !== status) link.status = '';
    } else {
      links.set(id, { id, from, to, active, rate: r.received + r.sent, status });
    }
  };
  const known = new Set(flow.clusters.map((c) => c.name));
  for (const l of flow.listeners) {
    const from = place('listener', key('listener', l.name));
    for (const c of l.filter_chains) {
      const id = key('chain', l.name, c.name);
      const at = place('chain', id);
      add(from, at, id, c.traffic.active);
      for (const d of c.destination) {
        if (!known.has(d.cluster)) continue;
        add(at, place('cluster', key('cluster', d.cluster)), key('destination', l.name, c.name, d.cluster), d.traffic.active);
      }
    }
  }
  for (const e of flow.endpoints) {
    if (!known.has(e.cluster)) continue;
    const id = key('endpoint', e.cluster, e.address);
    add(place('cluster', key('cluster', e.cluster)), place('endpoint', id), id, e.traffic.active, statusOf(e));
  }
  return [...links.values()];
}

/**
 * order puts the boxes of each column where their links cross little, by the
 * mean place of what leads to them; never by traffic, so that nothing moves.
 */
function order(columns: Record<Kind, Box[]>, shown: Record<Kind, Set<string>>, links: Link[]): Box[] {
  const boxes: Box[] = [];
  const rank = new Map<string, number>();
  const into = new Map<string, string[]>();
  for (const l of links) {
    const list = into.get(l.to);
    if (list) list.push(l.from);
    else into.set(l.to, [l.from]);
  }
  for (const kind of KINDS) {
    const column = columns[kind].filter((b) => shown[kind].has(b.id));
    const mean = new Map<string, number>();
    if (kind !== 'listener') {
      for (const b of column) {
        const from = (into.get(b.id) ?? []).map((id) => rank.get(id) ?? 0);
        mean.set(b.id, from.length ? from.reduce((a, x) => a + x, 0) / from.length : Infinity);
      }
      column.sort((a, b) => {
        const d = mean.get(a.id)! - mean.get(b.id)!;
        return Number.isNaN(d) ? 0 : d;
      });
    }
    const hidden = columns[kind].filter((b) => !shown[kind].has(b.id));
    if (hidden.length) {
      column.push({
        id: key('rest', kind), kind, rest: hidden.length,
        active: hidden.reduce((n, b) => n + b.active, 0), rate: hidden.reduce((n, b) => n + b.rate, 0),
      });
    }
    column.forEach((b, i) => rank.set(b.id, i));
    boxes.push(...column);
  }
  return boxes;
}

/** nameOf is what a box is called. */
export function nameOf(t: Thing): string {
  if (t.rest) return `and ${t.rest.toLocaleString('en-US')} more`;
  if (t.chain) return t.chain.name;
  if (t.endpoint) return t.endpoint.name || t.endpoint.address;
  return t.cluster?.name ?? t.listener?.name ?? '';
}

export const WORDS: Record<Kind, string> = {
  listener: 'listener', chain: 'filter chain', cluster: 'cluster', endpoint: 'endpoint',
};
