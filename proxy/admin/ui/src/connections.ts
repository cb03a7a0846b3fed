// The table of live connections: filtered by the gateway, sorted here, a page at
// a time.

import { Refused, get, post } from './api.ts';
import { confirm, howToChange, notice, words } from './dialogs.ts';
import type { Filter } from './details.ts';
import { el, find, replace, text } from './dom.ts';
import { bytes, count, duration, plural } from './format.ts';
import type { Connection, Connections, Session } from './types.ts';

const PAGE = 200; // rows that are fetched and shown
const EVERY_MS = 2000;
const PAUSE_MS = 300;

type Field = 'id' | 'source' | 'sni' | 'filter_chain' | 'endpoint' | 'age_ms' | 'idle_ms' | 'bytes_received' | 'bytes_sent';

const COLUMNS: [field: Field, title: string, numeric: boolean][] = [
  ['id', 'ID', false], ['source', 'Source', false], ['sni', 'SNI', false], ['filter_chain', 'Chain', false],
  ['endpoint', 'Endpoint', false], ['age_ms', 'Age', true], ['idle_ms', 'Idle', true],
  ['bytes_received', 'In', true], ['bytes_sent', 'Out', true],
];

/** Table shows connections, and ends one when it is told to. */
export class Table {
  private readonly form = find<HTMLFormElement>('#filters');
  private readonly head = find('#connections thead tr');
  private readonly body = find('#connections tbody');
  private readonly summary = find('#connections-summary');
  private readonly next = find<HTMLButtonElement>('#page-next');
  private readonly first = find<HTMLButtonElement>('#page-first');
  private readonly live = find<HTMLInputElement>('#live');
  private readonly rows = new Map<number, { row: HTMLTableRowElement; cells: HTMLElement[] }>();
  private page: Connections = { connections: [], total: 0 };
  private after = 0;
  private seen = 0; // connections on pages before this one
  private sort: Field = 'id';
  private down = false;
  private timer = 0;
  private asking?: AbortController;
  private readonly session: () => Session | undefined;
  private readonly login: () => void;

  constructor(session: () => Session | undefined, login: () => void) {
    this.session = session;
    this.login = login;
    this.heads();
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.form.addEventListener('input', () => {
      if (this.form.contains(document.activeElement) && document.activeElement === this.live) return;
      this.begin(PAUSE_MS);
    });
    find('#filters-clear').addEventListener('click', () => this.filter({}));
    this.next.addEventListener('click', () => this.turn(this.page.next ?? 0));
    this.first.addEventListener('click', () => this.turn(0));
    this.live.addEventListener('change', () => this.later(0));
    document.addEventListener('visibilitychange', () => this.later(0));
    this.later(0);
  }

  /** filter puts what is asked for into the fields, and shows the table. */
  filter(f: Filter): void {
    for (const field of this.form.querySelectorAll<HTMLInputElement>('input[name]')) field.value = f[field.name] ?? '';
    this.begin(0);
    if (Object.keys(f).length) find('#connections-panel').scrollIntoView({ block: 'start' });
  }

  /** allow shows the buttons for whom they are. */
  allow(): void {
    const session = this.session();
    const may = session?.may_change ?? false;
    find('#connections').classList.toggle('may-change', may);
    const hint = find('#connections-hint');
    hint.hidden = may || session === undefined;
    if (hint.hidden) return;
    replace(hint, howToChange(session), ' ',
      session?.token_configured && el('button', { type: 'button', class: 'small', click: () => this.login() }, 'Log in'));
  }

  private heads(): void {
    for (const [field, title, numeric] of COLUMNS) {
      this.head.append(el('th', { scope: 'col', class: numeric ? 'num' : '', 'data-field': field },
        el('button', { type: 'button', class: 'sort', click: () => this.order(field, numeric) }, title)));
    }
    this.head.append(el('th', { scope: 'col', class: 'act' }, el('span', { class: 'visually-hidden' }, 'End')));
    this.arrows();
  }

  private arrows(): void {
    for (const th of this.head.querySelectorAll<HTMLElement>('th[data-field]')) {
      th.setAttribute('aria-sort', th.dataset.field !== this.sort ? 'none' : this.down ? 'descending' : 'ascending');
    }
  }

  private order(field: Field, numeric: boolean): void {
    this.down = this.sort === field ? !this.down : numeric;
    this.sort = field;
    this.arrows();
    this.draw();
  }

  private begin(pause: number): void {
    this.after = 0;
    this.seen = 0;
    this.later(pause, true);
  }

  private turn(after: number): void {
    this.seen = after === 0 ? 0 : this.seen + this.page.connections.length;
    this.after = after;
    this.later(0, true);
  }

  /** later asks after a pause; forced asks also while the table stands still. */
  private later(ms: number, forced = false): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(forced), ms);
  }

  private async ask(forced: boolean): Promise<void> {
    if (document.hidden || (!this.live.checked && !forced)) return;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const params = Object.fromEntries([...new FormData(this.form)].map(([k, v]) => [k, String(v).trim()]));
    try {
      this.page = await get<Connections>('connections', { ...params, after: this.after, limit: PAGE }, asking.signal);
      this.draw();
    } catch (error) {
      if (asking.signal.aborted) return;
      if (error instanceof Refused) text(this.summary, error.message);
    }
    this.later(EVERY_MS);
  }

  private draw(): void {
    const { sort, down } = this;
    const list = [...this.page.connections].sort((a, b) => {
      const x = a[sort] ?? '';
      const y = b[sort] ?? '';
      const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
      return (down ? -order : order) || a.id - b.id;
    });
    const ids = new Set(list.map((c) => c.id));
    for (const [id, r] of this.rows) {
      if (ids.has(id)) continue;
      r.row.remove();
      this.rows.delete(id);
    }
    list.forEach((c, i) => {
      let r = this.rows.get(c.id);
      if (!r) this.rows.set(c.id, (r = this.row(c)));
      cellsOf(c).forEach((value, k) => {
        text(r.cells[k], value);
        r.cells[k].title = value;
      });
      if (this.body.children[i] !== r.row) this.body.insertBefore(r.row, this.body.children[i] ?? null);
    });
    this.summarize(list.length);
  }

  private summarize(shown: number): void {
    const { total, next } = this.page;
    const whole = shown === total && !next;
    const from = shown ? `${count(this.seen + 1)}–${count(this.seen + shown)}` : '0';
    const part = next ? '; sorted within these' : '';
    text(this.summary, whole ? plural(total, 'connection') : `${from} shown, ${count(total)} alive${part}`);
    this.next.disabled = !next;
    this.first.disabled = this.after === 0;
    find('#connections-none').hidden = shown > 0;
  }

  private row(c: Connection): { row: HTMLTableRowElement; cells: HTMLElement[] } {
    const cells = COLUMNS.map(([, title, numeric]) => el('td', { class: numeric ? 'num' : '', 'data-title': title }));
    const kill = el('button', { type: 'button', class: 'small danger', 'aria-label': `End connection ${c.id}`, click: () => void this.kill(c.id) }, 'Kill');
    return { row: el('tr', { 'data-id': c.id }, ...cells, el('td', { class: 'act' }, kill)), cells };
  }

  private async kill(id: number): Promise<void> {
    const c = this.page.connections.find((x) => x.id === id);
    const what = c ? `From ${c.source}${c.sni ? ` to ${c.sni}` : ''}${c.endpoint ? `, served by ${c.endpoint}` : ''}. ` : '';
    if (!(await confirm(`End connection ${id}?`, `${what}Both sides get a reset; nobody else is touched.`, 'Kill'))) return;
    try {
      const { result } = await post<{ result: string }>(`connections/${id}/kill`);
      notice(result);
    } catch (error) {
      notice(`Connection ${id}: ${words(error)}`, true);
    }
    this.later(0, true);
  }
}

function cellsOf(c: Connection): string[] {
  return [
    String(c.id), c.source, c.sni ?? '–', c.filter_chain ?? '–', c.endpoint ?? '–',
    duration(c.age_ms), duration(c.idle_ms), bytes(c.bytes_received), bytes(c.bytes_sent),
  ];
}
