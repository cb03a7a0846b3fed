// What is known about one box: configuration with file and line, counters,
// connections.

import { get, post } from './api.ts';
import { notice, words } from './dialogs.ts';
import { el, find, replace, text, type Child } from './dom.ts';
import { bytes, count, duration, perSecond, plural, rate } from './format.ts';
import { STATUSES, glyph } from './glyphs.ts';
import { WORDS, nameOf, statusOf, type Thing } from './graph.ts';
import type { Rates } from './rates.ts';
import type { Source } from './source.ts';
import type { Connections, Endpoint, Route, Session, Traffic } from './types.ts';

const FEW = 8; // connections that are listed here
const LISTED = 200; // of the rest

/** Filter is what the table of connections is asked for. */
export type Filter = Record<string, string>;

export interface Around {
  rates: Rates;
  source: Source;
  routes: () => Route[];
  session: () => Session | undefined;
  hidden: (kind: Thing['kind']) => Thing[];
  open: (thing: Thing) => void;
  filter: (filter: Filter) => void;
  closed: (id: string | undefined) => void;
}

/** Details is the panel beside the picture. */
export class Details {
  private readonly panel = find('#details');
  private readonly title = find('#details-title');
  private readonly kind = find('#details-kind');
  private readonly facts = find('#details-facts');
  private readonly counters = find('#details-counters');
  private readonly actions = find('#details-actions');
  private readonly sourceBox = find('#details-source');
  private readonly live = find('#details-connections');
  private thing?: Thing;
  private said = '';
  private readonly around: Around;

  constructor(around: Around) {
    this.around = around;
    find('#details-close').addEventListener('click', () => this.close());
    this.panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
  }

  get id(): string | undefined {
    return this.thing?.id;
  }

  open(thing: Thing): void {
    this.thing = thing;
    this.said = '';
    this.panel.hidden = false;
    replace(this.live);
    replace(this.sourceBox);
    this.update(thing);
    const position = positionOf(thing);
    if (position) void this.around.source.show(this.sourceBox, position);
    if (!thing.rest) void this.connections(thing);
    // What was asked for last is on top.
    if (this.panel.previousElementSibling) this.panel.parentElement!.prepend(this.panel);
    this.panel.parentElement!.scrollTop = 0;
    this.panel.focus({ preventScroll: true });
    this.panel.scrollIntoView({ block: 'nearest' });
  }

  close(): void {
    if (this.panel.hidden) return;
    const id = this.thing?.id;
    this.panel.hidden = true;
    this.thing = undefined;
    this.around.closed(id);
  }

  /** update tells the newest about the thing that is open. */
  update(thing: Thing | undefined): void {
    if (!thing || thing.id !== this.thing?.id) return;
    this.thing = thing;
    text(this.kind, thing.rest ? `more ${WORDS[thing.kind]}s` : WORDS[thing.kind]);
    text(this.title, nameOf(thing));
    if (thing.rest) return this.list(thing);
    const t = trafficOf(thing);
    const r = this.around.rates.of(thing.id);
    replace(this.counters, ...[
      ['connections now', count(t.active)],
      ['in all', count(t.connections)],
      ['new', `${perSecond(r.connections)} a second`],
      ['from clients', `${bytes(t.bytes_received)} · ${rate(r.received)}`],
      ['to clients', `${bytes(t.bytes_sent)} · ${rate(r.sent)}`],
      ...counted(thing.endpoint),
    ].flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
    const session = this.around.session();
    const facts = this.factsOf(thing);
    // What stands still is left alone: somebody may be copying it.
    const said = JSON.stringify([facts.map(([n, v]) => [n, v instanceof Node ? v.textContent : v]), session]);
    if (said === this.said) return;
    this.said = said;
    replace(this.facts, ...facts.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
    replace(this.actions, ...(thing.endpoint && session?.may_change ? this.states(thing.endpoint) : []));
  }

  private factsOf(thing: Thing): [string, Child][] {
    const facts: [string, Child][] = [];
    const add = (name: string, value: Child): void => {
      if (value !== undefined && value !== '' && value !== null) facts.push([name, value]);
    };
    const { chain, listener, cluster, endpoint } = thing;
    const position = positionOf(thing);
    if (position) add('defined at', el('code', {}, position));
    if (chain && listener) {
      add('listener', listener.name);
      add('match', chain.match_text);
      add('place', chain.default ? 'default: when no other matches' : `${listener.filter_chains.indexOf(chain) + 1} of ${listener.filter_chains.length} in the order in which they win`);
      add('TLS', chain.tls === 'terminated' ? 'terminated here' : chain.tls === 'passthrough' ? 'passed through' : chain.tls);
      add('goes to', chain.destination.map((d) => (chain.destination.length > 1 ? `${d.cluster} (${Math.round(d.share * 100)}%)` : d.cluster)).join(', '));
      const route = this.around.routes().find((r) => r.listener === listener.name && r.name === chain.name);
      add('sticky by', route?.hash_on);
      add('idle timeout', none(route?.idle_timeout));
      add('half-close timeout', none(route?.half_close_timeout));
      add('longest life', none(route?.max_downstream_connection_duration));
    } else if (listener) {
      add('addresses', listener.addresses.join(', '));
      add('filter chains', count(listener.filter_chains.length));
      add('no match', listener.on_no_match);
      add('PROXY protocol', listener.proxy_protocol);
    } else if (cluster) {
      add('type', [cluster.type, ...cluster.discovery].join(' · '));
      add('balancing', cluster.lb_policy);
      add('endpoints', `${count(cluster.endpoints)}, of which ${count(cluster.healthy)} may get connections`);
      add('health check', cluster.health_check ?? 'none');
      add('TLS to endpoints', cluster.tls ?? 'none');
      add('most connections', limit(cluster.max_connections));
      add('waiting', cluster.max_pending ? `${count(cluster.pending)} of ${count(cluster.max_pending)}` : undefined);
    } else if (endpoint) {
      add('address', el('code', {}, endpoint.address));
      add('cluster', endpoint.cluster);
      const status = statusOf(endpoint);
      const meaning = STATUSES.find(([name]) => name === status)?.[1];
      add('status', el('span', { class: `status is-${status}` }, glyph(status), ` ${status}${meaning ? `: ${meaning}` : ''}`));
      add('gets connections', endpoint.serving ? 'yes' : 'no');
      add('weight', `${endpoint.weight}${endpoint.weight_set ? ' (set by an operator)' : ''}`);
      add('priority', endpoint.priority);
      add('most connections', limit(endpoint.max_connections));
      add('last check', checkOf(endpoint));
    }
    return facts;
  }

  /** states are the buttons that an operator has for an endpoint. */
  private states(e: Endpoint): Child[] {
    return [
      el('span', { class: 'hint' }, 'Set to'),
      ...['ready', 'drain', 'maint'].map((state) => el('button', {
        type: 'button', class: 'small', 'aria-pressed': String(e.state === state), click: () => void this.set(e, state),
      }, state)),
    ];
  }

  private async set(e: Endpoint, state: string): Promise<void> {
    try {
      const path = `clusters/${encodeURIComponent(e.cluster)}/endpoints/${encodeURIComponent(e.address)}`;
      const { result } = await post<{ result: string }>(path, { state });
      notice(result);
    } catch (error) {
      notice(words(error), true);
    }
  }

  private async connections(thing: Thing): Promise<void> {
    const filter = filterOf(thing);
    try {
      const page = await get<Connections>('connections', { ...filter, limit: FEW });
      if (this.thing?.id !== thing.id) return;
      replace(this.live,
        page.connections.length === 0 ? el('p', { class: 'hint' }, 'None now.') : el('ul', {}, ...page.connections.map((c) =>
          el('li', {}, el('span', { class: 'conn-who' }, c.sni || c.source), el('span', { class: 'conn-age' }, `#${c.id} · ${duration(c.age_ms)}`)))),
        el('button', { type: 'button', class: 'small', click: () => this.around.filter(filter) }, page.next ? 'Show all in the table' : 'Show in the table'));
    } catch (error) {
      replace(this.live, el('p', { class: 'hint' }, `Not read: ${words(error)}.`));
    }
  }

  /** list names what has no box, to be looked for. */
  private list(thing: Thing): void {
    if (this.said === 'list') return;
    this.said = 'list';
    const things = this.around.hidden(thing.kind);
    const found = el('ul', { class: 'found' });
    const show = (pattern: string): void => {
      const hits = things.filter((t) => `${nameOf(t)} ${t.chain?.match_text ?? t.endpoint?.address ?? ''}`.toLowerCase().includes(pattern.toLowerCase()));
      replace(found, ...hits.slice(0, LISTED).map((t) => el('li', {},
        el('button', { type: 'button', class: 'link', click: () => this.around.open(t) }, nameOf(t)),
        el('span', { class: 'conn-age' }, plural(trafficOf(t).active, 'connection')))),
      hits.length > LISTED && el('li', { class: 'hint' }, `and ${count(hits.length - LISTED)} more: type to find them`));
    };
    const field = el('input', { type: 'search', placeholder: 'Part of a name', 'aria-label': `Find a ${WORDS[thing.kind]}`, input: () => show(field.value) });
    replace(this.facts);
    replace(this.actions);
    replace(this.counters);
    replace(this.live, field, found);
    show('');
  }
}

export function positionOf(t: Thing): string | undefined {
  return t.chain?.position ?? t.listener?.position ?? t.cluster?.position;
}

export function trafficOf(t: Thing): Traffic {
  return (t.chain ?? t.endpoint ?? t.cluster ?? t.listener)!.traffic;
}

export function filterOf(t: Thing): Filter {
  if (t.chain && t.listener) return { listener: t.listener.name, chain: t.chain.name };
  if (t.listener) return { listener: t.listener.name };
  if (t.cluster) return { cluster: t.cluster.name };
  if (t.endpoint) return { cluster: t.endpoint.cluster, endpoint: t.endpoint.address };
  return {};
}

function none(d: string | undefined): string | undefined {
  return d === '0s' ? 'none' : d;
}

function limit(n: number): string {
  return n ? count(n) : 'no limit of its own';
}

function counted(e: Endpoint | undefined): [string, string][] {
  if (!e) return [];
  return [
    ['attempts', `${count(e.attempts)}, ${count(e.failures)} failed`],
    ['early ends', count(e.early_ends)],
    ['ejections', count(e.ejections)],
  ];
}

function checkOf(e: Endpoint): string {
  if (!e.last_check) return 'none yet';
  const { passed, took_ms, reason } = e.last_check;
  return passed ? `passed in ${duration(took_ms)}` : `failed${reason ? `: ${reason}` : ''}`;
}
