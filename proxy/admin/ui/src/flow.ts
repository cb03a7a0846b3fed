// The picture: boxes are buttons, laid over ribbons drawn in SVG.

import { el, find, replace, svg, text } from './dom.ts';
import { plural, rate, short } from './format.ts';
import { glyph } from './glyphs.ts';
import { KINDS, WORDS, build, nameOf, statusOf, type Box, type Graph, type Limits, type Mode, type Thing } from './graph.ts';
import { layout, ribbon, type Picture, type Place, type Ribbon } from './layout.ts';
import type { Flow } from './types.ts';
import type { Rates } from './rates.ts';

const WIDE: Limits = { listener: 10, chain: 18, cluster: 16, endpoint: 22 };
const NARROW: Limits = { listener: 6, chain: 8, cluster: 8, endpoint: 12 };
const NARROW_BELOW = 700; // px
const MOVE_MS = 450;

interface Shown {
  button: HTMLButtonElement;
  name: HTMLElement;
  value: HTMLElement;
  sub: HTMLElement;
  said: string; // what sub was made of
}

/** Diagram draws flows, one after the other, and tells which box was chosen. */
export class Diagram {
  mode: Mode = 'connections';
  private readonly frame = find('#flow-frame');
  private readonly stage = find('#flow-stage');
  private readonly ribbons = find<SVGSVGElement>('#flow-ribbons');
  private readonly heads = document.querySelectorAll<HTMLElement>('.flow-columns span');
  private readonly boxes = new Map<string, Shown>();
  private readonly paths = new Map<string, SVGPathElement>();
  private readonly still = window.matchMedia('(prefers-reduced-motion: reduce)');
  private graph: Graph = { boxes: [], links: [], all: new Map() };
  private now: Picture = { width: 0, height: 0, boxes: new Map(), links: new Map(), columns: [] };
  private moving = 0;
  private lit = new Set<string>();
  private kept = new Set<string>();
  private flow?: Flow;
  private readonly rates: Rates;
  private readonly choose: (thing: Thing) => void;

  constructor(rates: Rates, choose: (thing: Thing) => void) {
    this.rates = rates;
    this.choose = choose;
    new ResizeObserver(() => this.draw(false)).observe(this.frame);
  }

  /** show draws the newest flow. */
  show(flow: Flow): void {
    this.flow = flow;
    this.draw(true);
  }

  /** light marks a way, and gives each thing on it a box; of nothing, all are as before. */
  light(ids: Iterable<string>): void {
    this.lit = new Set(ids);
    this.draw(true);
  }

  /** keep gives one more thing a box, whatever it carries. */
  keep(id: string): void {
    this.kept = new Set([id]);
    this.draw(true);
  }

  /** select marks the box that is open. */
  select(id: string | undefined): void {
    for (const [k, s] of this.boxes) {
      if (k === id) s.button.setAttribute('aria-current', 'true');
      else s.button.removeAttribute('aria-current');
    }
  }

  thing(id: string): Thing | undefined {
    return this.graph.all.get(id);
  }

  /** hidden is everything of a kind that has no box of its own. */
  hidden(kind: Thing['kind']): Thing[] {
    return [...this.graph.all.values()].filter((t) => t.kind === kind && !this.boxes.has(t.id));
  }

  /** focus goes to a box, when there is one. */
  focus(id: string): boolean {
    const shown = this.boxes.get(id);
    shown?.button.focus();
    return shown !== undefined;
  }

  /** room is the width that there is for the picture, px. */
  private room(): number {
    const s = getComputedStyle(this.frame);
    return this.frame.clientWidth - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight);
  }

  draw(animate: boolean): void {
    if (!this.flow) return;
    const limits = this.room() < NARROW_BELOW ? NARROW : WIDE;
    const keep = new Set([...this.lit, ...this.kept]);
    this.graph = build(this.flow, this.rates, this.mode, limits, keep, new Set(this.boxes.keys()));
    const next = layout(this.graph, this.mode, this.room());
    this.populate();
    this.heads.forEach((head, i) => (head.style.left = `${next.columns[i]}px`));
    this.stage.style.width = `${next.width}px`;
    this.stage.style.height = `${next.height}px`;
    this.ribbons.setAttribute('viewBox', `0 0 ${next.width} ${next.height}`);
    this.move(next, animate && !this.still.matches && next.width === this.now.width);
  }

  /** populate makes the elements of what is new, takes away those of what is gone. */
  private populate(): void {
    const wanted = new Set(this.graph.boxes.map((b) => b.id));
    for (const [id, s] of this.boxes) {
      if (wanted.has(id)) continue;
      s.button.remove();
      this.boxes.delete(id);
    }
    let previous: Element | null = null;
    for (const box of this.graph.boxes) {
      let s = this.boxes.get(box.id);
      if (!s) this.boxes.set(box.id, (s = this.create(box)));
      this.describe(s, box);
      // The tab order is that of the columns. What is there is not moved: it
      // may have the focus.
      const at: Element | null = previous ? previous.nextElementSibling : this.ribbons.nextElementSibling;
      if (at !== s.button) this.stage.insertBefore(s.button, at);
      previous = s.button;
    }
    const links = new Map(this.graph.links.map((l) => [l.id, l]));
    for (const [id, path] of this.paths) {
      if (links.has(id)) continue;
      path.remove();
      this.paths.delete(id);
    }
    for (const l of links.values()) {
      let path = this.paths.get(l.id);
      if (!path) {
        path = svg('path');
        this.paths.set(l.id, path);
        this.ribbons.append(path);
      }
      const quiet = (this.mode === 'connections' ? l.active : l.rate) === 0;
      const lit = this.lit.has(l.from) && this.lit.has(l.to);
      path.setAttribute('class', `ribbon is-${l.status || 'flow'}${quiet ? ' quiet' : ''}${lit ? ' lit' : ''}`);
    }
    this.stage.classList.toggle('lighting', this.lit.size > 0);
  }

  private create(box: Box): Shown {
    const name = el('span', { class: 'box-name' });
    const value = el('span', { class: 'box-value' });
    const sub = el('span', { class: 'box-sub' });
    const button = el('button', { type: 'button', class: 'box', 'data-kind': box.kind },
      el('span', { class: 'box-line' }, name, value), sub);
    const id = box.id;
    button.addEventListener('click', () => {
      const now = this.graph.boxes.find((b) => b.id === id);
      if (now) this.choose(now);
    });
    button.addEventListener('keydown', (event) => this.walk(event, id));
    for (const [on, off] of [['mouseenter', 'mouseleave'], ['focus', 'blur']]) {
      button.addEventListener(on, () => this.touch(id));
      button.addEventListener(off, () => this.touch(undefined));
    }
    return { button, name, value, sub, said: '' };
  }

  private describe(s: Shown, box: Box): void {
    text(s.name, nameOf(box));
    text(s.value, this.mode === 'connections' ? short(box.active) : rate(box.rate));
    const status = box.endpoint ? statusOf(box.endpoint) : '';
    const sub = subtitle(box);
    if (s.said !== sub + status) {
      s.said = sub + status;
      const sign = status ? glyph(status) : box.chain?.tls === 'terminated' ? glyph('lock') : null;
      replace(s.sub, sign, el('span', { class: status ? `is-${status}` : '' }, sub));
    }
    s.button.className = `box ${box.rest ? 'rest' : ''} ${troubled(box) ? 'troubled' : ''} ${this.lit.has(box.id) ? 'lit' : ''} ${status ? `is-${status}` : ''}`;
    s.button.dataset.name = nameOf(box);
    s.button.title = `${nameOf(box)}\n${sub}`;
    const carried = this.mode === 'connections' ? plural(box.active, 'connection') : rate(box.rate);
    s.button.setAttribute('aria-label', `${WORDS[box.kind]} ${nameOf(box)}: ${sub}, ${carried}`);
  }

  /** touch shows what leads to a box and from it, while it is pointed at. */
  private touch(id: string | undefined): void {
    for (const l of this.graph.links) this.paths.get(l.id)?.classList.toggle('touched', l.from === id || l.to === id);
  }

  /** walk goes from box to box with the arrow keys. */
  private walk(event: KeyboardEvent, id: string): void {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    const from = this.now.boxes.get(id);
    const box = this.graph.boxes.find((b) => b.id === id);
    if (!step || !from || !box) return;
    const column = KINDS[KINDS.indexOf(box.kind) + step[0]];
    const near = this.graph.boxes.filter((b) => b.kind === column).map((b) => ({ id: b.id, y: this.now.boxes.get(b.id)?.y ?? 0 }));
    let to: { id: string } | undefined;
    if (step[0] === 0) {
      to = near[near.findIndex((b) => b.id === id) + step[1]];
    } else {
      // Along a flow, when there is one.
      const linked = new Set(this.graph.links.flatMap((l) => (l.from === id ? [l.to] : l.to === id ? [l.from] : [])));
      to = near.sort((a, b) => Number(linked.has(b.id)) - Number(linked.has(a.id)) || Math.abs(a.y - from.y) - Math.abs(b.y - from.y))[0];
    }
    if (to) this.focus(to.id);
    event.preventDefault();
  }

  /** move brings everything to its new place, in a short while or at once. */
  private move(to: Picture, animate: boolean): void {
    cancelAnimationFrame(this.moving);
    const from = this.now;
    if (!animate) return this.put(to);
    const begin = performance.now();
    const step = (time: number): void => {
      const t = Math.min(1, Math.max(0, (time - begin) / MOVE_MS));
      this.put(t === 1 ? to : between(from, to, 1 - (1 - t) ** 3));
      if (t < 1) this.moving = requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }

  private put(p: Picture): void {
    this.now = p;
    for (const [id, at] of p.boxes) {
      const button = this.boxes.get(id)?.button;
      if (!button) continue;
      button.style.transform = `translate(${at.x.toFixed(1)}px, ${at.y.toFixed(1)}px)`;
      button.style.width = `${at.width.toFixed(1)}px`;
      button.style.height = `${at.height.toFixed(1)}px`;
    }
    for (const [id, r] of p.links) this.paths.get(id)?.setAttribute('d', ribbon(r));
  }
}

function mix<T extends Place | Ribbon>(a: T | undefined, b: T, t: number): T {
  if (!a) return b;
  const out = { ...b };
  for (const k of Object.keys(b) as (keyof T)[]) {
    (out[k] as number) = (a[k] as number) + ((b[k] as number) - (a[k] as number)) * t;
  }
  return out;
}

function between(a: Picture, b: Picture, t: number): Picture {
  return {
    width: b.width, height: b.height, columns: b.columns,
    boxes: new Map([...b.boxes].map(([id, p]) => [id, mix(a.boxes.get(id), p, t)])),
    links: new Map([...b.links].map(([id, r]) => [id, mix(a.links.get(id), r, t)])),
  };
}

/** subtitle is the second line of a box. */
function subtitle(box: Box): string {
  if (box.listener && !box.chain) return box.listener.addresses.join(', ');
  if (box.chain) return box.chain.match_text === 'ALL' ? 'everything else' : box.chain.match_text.replace(/^SNI: /, '');
  if (box.cluster) return `${box.cluster.healthy} of ${box.cluster.endpoints} available · ${box.cluster.lb_policy.replaceAll('_', ' ')}`;
  if (box.endpoint) {
    const e = box.endpoint;
    return e.name && e.name !== e.address ? `${statusOf(e)} · ${e.address}` : statusOf(e);
  }
  return 'show them';
}

/** troubled: a cluster that has nowhere to send anything. */
function troubled(box: Box): boolean {
  return box.cluster !== undefined && box.cluster.healthy === 0;
}
