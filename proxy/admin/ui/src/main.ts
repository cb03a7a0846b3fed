// The page: what is read is handed to its parts.

import { Events, get, session as readSession } from './api.ts';
import { Table } from './connections.ts';
import { Details } from './details.ts';
import { Login } from './dialogs.ts';
import { find, append, el, text } from './dom.ts';
import { Explain } from './explain.ts';
import { Diagram } from './flow.ts';
import { count, duration, moment, plural } from './format.ts';
import { STATUSES, glyph } from './glyphs.ts';
import type { Mode, Thing } from './graph.ts';
import { Plots } from './plots.ts';
import { Rates } from './rates.ts';
import { Source } from './source.ts';
import { Theme } from './theme.ts';
import type { Flow, Route, Server, Session } from './types.ts';

const SESSION_EVERY_MS = 60000;

class Page {
  private readonly rates = new Rates();
  private readonly plots = new Plots();
  private readonly source = new Source();
  private readonly login = new Login(() => void this.who());
  private readonly diagram = new Diagram(this.rates, (thing) => this.open(thing));
  private readonly explain = new Explain((ids) => this.diagram.light(ids));
  private readonly table = new Table(() => this.session, () => this.login.open());
  private readonly details = new Details({
    rates: this.rates,
    source: this.source,
    routes: () => this.routes,
    session: () => this.session,
    hidden: (kind) => this.diagram.hidden(kind),
    open: (thing) => this.open(thing),
    filter: (filter) => this.table.filter(filter),
    closed: (id) => {
      this.diagram.select(undefined);
      if (id) this.diagram.focus(id);
    },
  });
  private readonly events = new Events((flow) => this.take(flow), () => this.away());
  private session?: Session;
  private routes: Route[] = [];
  private configuration = '';
  private flow?: Flow;
  private drawing = 0;
  private lastSeen = 0;
  private asked = false; // for the token, unasked

  start(): void {
    new Theme(() => this.plots.theme());
    this.legend();
    this.modes();
    find('#session').addEventListener('click', () => {
      if (this.session?.logged_in) void this.login.out();
      else this.login.open();
    });
    document.addEventListener('keydown', (event) => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      find('#explain-name').focus();
    });
    void this.who();
    window.setInterval(() => void this.who(), SESSION_EVERY_MS);
    window.setInterval(() => this.silence(), 1000);
    this.events.open();
  }

  /** take is called every second, with the state of the gateway. */
  private take(flow: Flow): void {
    const first = this.lastSeen === 0;
    this.lastSeen = Date.now();
    this.rates.take(flow);
    const active = flow.listeners.reduce((n, l) => n + l.traffic.active, 0);
    this.plots.add(Date.parse(flow.time) / 1000, first ? null : { ...this.rates.total(flow), active });
    const configuration = `${flow.server.started} ${flow.server.configuration.loaded} ${flow.server.configuration.reloads}`;
    if (configuration !== this.configuration) {
      this.configuration = configuration;
      this.source.forget();
      void this.readRoutes();
    }
    // What comes faster than it can be seen is not drawn, and nothing is while
    // nobody looks.
    if (!this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
    this.flow = flow;
  }

  private draw(): void {
    this.drawing = 0;
    const flow = this.flow;
    if (!flow) return;
    document.body.classList.remove('waiting');
    find('#away').hidden = true;
    this.header(flow.server);
    this.diagram.show(flow);
    this.explain.offer(flow);
    const id = this.details.id;
    if (id) this.details.update(this.diagram.thing(id));
    this.plots.draw();
  }

  private async readRoutes(): Promise<void> {
    try {
      this.routes = await get<Route[]>('routes');
    } catch {
      this.configuration = ''; // with the next flow, again
    }
  }

  private header(s: Server): void {
    const ready = s.state === 'running';
    const state = find('#state');
    state.className = `pill ${ready ? 'is-healthy' : s.state === 'draining' ? 'is-drain' : 'is-unchecked'}`;
    const words = ready ? 'running · ready' : `${s.state} · not ready`;
    if (state.dataset.words !== words) {
      state.dataset.words = words;
      state.replaceChildren(glyph(ready ? 'healthy' : s.state === 'draining' ? 'drain' : 'unchecked'), ` ${words}`);
    }
    text(find('#version'), s.version);
    text(find('#uptime'), duration(s.uptime_ms));
    text(find('#connected'), `${count(s.connections)} of ${count(s.max_connections)}`);
    text(find('#workers'), String(s.workers));
    const c = s.configuration;
    const ok = c.last_reload === 'ok' || c.last_reload === '';
    const loaded = find('#loaded');
    text(loaded, ok ? `${c.path}, loaded ${moment(c.loaded)}${c.reloads ? `, ${plural(c.reloads, 'reload')}` : ''}` : `${c.path}: last reload failed: ${c.last_reload}`);
    loaded.classList.toggle('bad', !ok);
    document.title = `sluice · ${plural(s.connections, 'connection')}`;
  }

  private away(): void {
    cancelAnimationFrame(this.drawing);
    this.drawing = 0;
    if (this.lastSeen && find('#away').hidden) this.plots.add(Date.now() / 1000, null); // a gap
    find('#away').hidden = false;
    this.silence();
    void this.who().then(() => this.closed());
  }

  /** closed: a gateway that answers, but tells nothing, wants a token first. */
  private closed(): void {
    if (!this.session?.token_configured || this.session.may_change || this.lastSeen || this.asked) return;
    this.asked = true;
    this.login.open();
  }

  private silence(): void {
    if (find('#away').hidden) return;
    const since = this.lastSeen ? ` Last heard of ${duration(Math.max(1000, Date.now() - this.lastSeen))} ago.` : '';
    text(find('#away'), `The gateway does not answer; trying again.${since}`);
  }

  private async who(): Promise<void> {
    try {
      const before = this.session?.may_change;
      this.session = await readSession();
      this.source.allowed = this.session.may_change;
      if (before !== this.session.may_change) {
        this.source.forget();
        const thing = this.details.id && this.diagram.thing(this.details.id);
        if (thing) this.details.open(thing);
        if (before === false) this.events.open();
      }
    } catch {
      return; // the stream of events says that the gateway is away
    }
    const button = find('#session');
    text(button, this.session.logged_in ? 'Log out' : 'Log in');
    button.hidden = !this.session.logged_in && (this.session.may_change || !this.session.token_configured);
    text(find('#may'), this.session.may_change ? 'may change things' : 'read only');
    this.table.allow();
  }

  private open(thing: Thing): void {
    this.diagram.keep(thing.id);
    this.details.open(thing);
    this.diagram.select(thing.id);
  }

  private modes(): void {
    for (const input of document.querySelectorAll<HTMLInputElement>('input[name=mode]')) {
      input.addEventListener('change', () => {
        this.diagram.mode = input.value as Mode;
        this.diagram.draw(true);
      });
    }
  }

  private legend(): void {
    append(find('#legend'), ...STATUSES.map(([name, meaning]) => el('li', { title: meaning }, glyph(name), ` ${name}`)));
  }
}

new Page().start();
