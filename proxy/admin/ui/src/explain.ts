// Where would a connection go? The search box, and the answer.

import { get } from './api.ts';
import { words } from './dialogs.ts';
import { el, find, replace, text, type Child } from './dom.ts';
import { count, plural } from './format.ts';
import { glyph } from './glyphs.ts';
import { statusOf } from './graph.ts';
import { key } from './rates.ts';
import type { Alternative, Explanation, Flow, Verdict } from './types.ts';

const PAUSE_MS = 350; // after the last key
const SHOWN = 12; // chains that did not win
const NAME = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Explain asks the gateway, and tells which things are on the way. */
export class Explain {
  private readonly form = find<HTMLFormElement>('#explain');
  private readonly name = find<HTMLInputElement>('#explain-name');
  private readonly listener = find<HTMLSelectElement>('#explain-listener');
  private readonly alpn = find<HTMLInputElement>('#explain-alpn');
  private readonly from = find<HTMLInputElement>('#explain-source');
  private readonly panel = find('#explanation');
  private readonly body = find('#explanation-body');
  private readonly light: (ids: string[]) => void;
  private timer = 0;
  private asked = 0;

  constructor(light: (ids: string[]) => void) {
    this.light = light;
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.ask();
    });
    this.form.addEventListener('input', () => {
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => {
        // Half a name is not asked for: it would be an error, not an answer.
        if (this.empty() || NAME.test(this.name.value.trim())) void this.ask();
      }, PAUSE_MS);
    });
    this.form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.clear();
    });
    find('#explanation-close').addEventListener('click', () => this.clear());
  }

  /** offer fills in the listeners that there are. */
  offer(flow: Flow): void {
    const names = flow.listeners.map((l) => l.name);
    const has = [...this.listener.options].map((o) => o.value);
    if (names.join('\n') === has.join('\n')) return;
    const chosen = this.listener.value;
    replace(this.listener, ...names.map((n) => el('option', { value: n }, n)));
    if (names.includes(chosen)) this.listener.value = chosen;
  }

  private empty(): boolean {
    return !this.name.value.trim() && !this.alpn.value.trim() && !this.from.value.trim();
  }

  clear(): void {
    window.clearTimeout(this.timer);
    this.asked++;
    this.panel.hidden = true;
    this.name.value = '';
    this.light([]);
    this.name.focus();
  }

  private async ask(): Promise<void> {
    window.clearTimeout(this.timer);
    const asked = ++this.asked;
    if (this.empty()) {
      this.panel.hidden = true;
      this.light([]);
      return;
    }
    try {
      const answer = await get<Explanation>('explain', {
        listener: this.listener.value,
        sni: this.name.value.trim(),
        alpn: this.alpn.value.split(/[\s,]+/).filter(Boolean).join(','),
        source: this.from.value.trim(),
      });
      if (asked === this.asked) this.show(answer);
    } catch (error) {
      if (asked !== this.asked) return;
      this.light([]);
      this.panel.hidden = false;
      text(find('#explanation-title'), 'No answer');
      replace(this.body, el('p', { class: 'bad' }, words(error)));
    }
  }

  private show(a: Explanation): void {
    this.panel.parentElement!.prepend(this.panel);
    this.light(way(a));
    this.panel.hidden = false;
    text(find('#explanation-title'), sentence(a));
    replace(this.body,
      el('h3', {}, 'The way'), steps(a),
      el('h3', {}, 'Why the others did not win'), others(a.filter_chains));
    this.panel.parentElement!.scrollTop = 0;
  }
}

/** way is what lights up: the best endpoints of each cluster are on it. */
function way(a: Explanation): string[] {
  const ids = [key('listener', a.listener)];
  if (a.filter_chain) ids.push(key('chain', a.listener, a.filter_chain));
  for (const c of a.clusters) {
    if (c.share <= 0) continue;
    ids.push(key('cluster', c.cluster));
    for (const e of c.endpoints) if (e.rank === 1) ids.push(key('endpoint', c.cluster, e.address));
  }
  return ids;
}

function sentence(a: Explanation): string {
  const who = a.question.server_name || 'A connection without a name';
  if (a.outcome === 'forward') {
    return `${who} goes by filter chain ${a.filter_chain} to cluster ${a.clusters.filter((c) => c.share > 0).map((c) => c.cluster).join(' or ')}`;
  }
  const how = { reset: 'is reset', close: 'is closed', tls_alert: 'gets a TLS alert' }[a.outcome] ?? a.outcome;
  return `${who} ${how}: ${a.reason.replaceAll('_', ' ')}`;
}

function steps(a: Explanation): HTMLElement {
  const won = a.filter_chains.find((v) => v.won);
  const tls = { passthrough: 'TLS is passed through', terminated: 'TLS is terminated here', none: 'no TLS' }[a.tls ?? ''];
  return el('ol', { class: 'steps' },
    step('listener', a.listener, a.position, a.admission === 'allowed' ? (a.hello_needed ? 'the hello is read' : 'the hello is not needed') : a.admission),
    won && step('filter chain', won.filter_chain, won.position, won.default ? 'the default: no other matches' : tls ?? ''),
    ...a.clusters.map((c) => step('cluster', c.cluster, c.position, clusterWords(c), candidates(c))),
    a.sent.length > 0 && el('li', {}, el('span', { class: 'step-kind' }, 'sent to the endpoint'), el('ul', { class: 'sent' }, ...a.sent.map((s) => el('li', {}, s)))),
  );
}

function step(kind: string, name: string, position: string, note: string, below?: Child): HTMLElement {
  return el('li', {}, el('span', { class: 'step-kind' }, kind), el('strong', {}, name), ' ', el('code', {}, position),
    note && el('span', { class: 'step-note' }, note), below);
}

function clusterWords(c: Alternative): string {
  const share = c.share < 1 ? `${Math.round(c.share * 100)}% of connections like this, ` : '';
  return c.refusal ? `${share}${c.refusal}` : `${share}${c.lb_policy.replaceAll('_', ' ')}`;
}

function candidates(c: Alternative): HTMLElement {
  return el('ul', { class: 'candidates' }, ...c.endpoints.map((e) => {
    const status = statusOf(e);
    return el('li', { class: e.rank === 1 ? 'first' : '' },
      el('span', { class: 'rank' }, e.rank > 0 ? `${e.rank}.` : '–'), glyph(status),
      el('strong', {}, e.endpoint || e.address), ' ',
      el('span', { class: 'conn-age' }, [status, `weight ${e.weight}`, plural(e.active, 'connection'), e.why].filter(Boolean).join(' · ')));
  }));
}

/** others tells about each chain that did not win; those that came near first. */
function others(verdicts: Verdict[]): HTMLElement {
  const lost = verdicts.filter((v) => !v.won);
  if (!lost.length) return el('p', { class: 'hint' }, 'There are no others.');
  const near = (v: Verdict): number => (v.lost_by ? 0 : v.failed?.length ?? 0);
  lost.sort((a, b) => near(a) - near(b));
  const list = el('ul', { class: 'verdicts' }, ...lost.slice(0, SHOWN).map(verdict));
  if (lost.length > SHOWN) {
    const more = el('button', { type: 'button', class: 'small' }, `Show ${count(Math.min(500, lost.length - SHOWN))} more`);
    more.addEventListener('click', () => more.parentElement!.replaceWith(...lost.slice(SHOWN, SHOWN + 500).map(verdict)));
    list.append(el('li', {}, more));
  }
  return list;
}

function verdict(v: Verdict): HTMLElement {
  const why = v.lost_by?.criterion === 'default_filter_chain'
    ? [el('p', {}, 'It would take what no other matches.')]
    : v.lost_by?.criterion === 'order'
    ? [el('p', {}, 'It matches as well, but stands after the winner.')]
    : v.lost_by
    ? [el('p', {}, 'It matches, but ', el('b', {}, v.lost_by.criterion), ' is less specific: ', el('q', {}, v.lost_by.own || 'any'), ' against ', el('q', {}, v.lost_by.winners || 'any'))]
    : (v.failed ?? []).map((f) => el('p', {}, el('b', {}, f.criterion), ' is ', el('q', {}, f.got || 'none'), ', wanted ', el('q', {}, f.want)));
  return el('li', {}, el('strong', {}, v.filter_chain), ' ', el('code', {}, v.position), ...why);
}
