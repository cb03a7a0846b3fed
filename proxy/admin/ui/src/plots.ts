// Throughput and connections over the last minutes, with uPlot.

import uPlot from '../third_party/uplot/uPlot.js';
import { el, find, text } from './dom.ts';
import { clock, count, perSecond, rate, short } from './format.ts';

const SECONDS = 300; // that are kept
const HEIGHT = 144; // px

// Between the lines of a plot: round numbers of things, and of bytes.
const DECIMAL = Array.from({ length: 24 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));
const BINARY = Array.from({ length: 48 }, (_, i) => [1, 2, 4, 8, 16, 32, 64, 128, 256, 512][i % 10] * 1024 ** Math.floor(i / 10));

interface Line {
  label: string;
  colour: string; // a custom property of the style sheet
}

/** Plot is one plot with its figures above. */
class Plot {
  private readonly data: (number | null)[][];
  private readonly figures: HTMLElement[];
  private readonly when: HTMLElement;
  private plot?: uPlot;
  private readonly box: HTMLElement;
  private readonly lines: Line[];
  private readonly say: (n: number) => string;
  private readonly axis: (n: number) => string;
  private readonly title: string;
  private readonly steps: number[];

  constructor(box: HTMLElement, title: string, lines: Line[], say: (n: number) => string, axis: (n: number) => string, steps = DECIMAL) {
    this.box = box;
    this.lines = lines;
    this.say = say;
    this.axis = axis;
    this.title = title;
    this.steps = steps;
    this.data = [[], ...lines.map(() => [])];
    this.figures = lines.map(() => el('strong', {}, '–'));
    this.when = el('span', { class: 'plot-when' });
    box.append(
      el('div', { class: 'plot-head' }, el('h2', {}, title), this.when),
      el('div', { class: 'plot-figures' }, ...lines.map((l, i) =>
        el('span', { class: 'figure' }, el('i', { class: `swatch ${l.colour}`, 'aria-hidden': 'true' }), this.figures[i], ` ${l.label}`))),
      el('div', { class: 'plot-canvas', role: 'img', 'aria-label': title }),
    );
    new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: HEIGHT })).observe(box);
  }

  private width(): number {
    return find('.plot-canvas', this.box).clientWidth;
  }

  /** add takes what is now; null is a time of which nothing is known. */
  add(time: number, values: (number | null)[]): void {
    const [times] = this.data;
    const last = times.at(-1);
    if (last === time) return; // it was told again
    if (last != null && last > time) this.data.forEach((d) => (d.length = 0)); // the clock was set back
    times.push(time);
    values.forEach((v, i) => this.data[i + 1].push(v));
    while (times.length > 1 && (times[0] as number) < time - SECONDS) this.data.forEach((d) => d.shift());
  }

  /** draw shows what was added. */
  draw(): void {
    const [times] = this.data;
    if (!this.plot) this.theme();
    else this.plot.setData(this.data as uPlot.AlignedData);
    if (this.plot && (this.plot.cursor.idx === null || this.plot.cursor.idx === undefined)) this.figure(times.length - 1, false);
    const now = this.lines.map((l, i) => `${l.label} ${this.said(this.data[i + 1].at(-1))}`).join(', ');
    find('.plot-canvas', this.box).setAttribute('aria-label', `${this.title}: ${now}`);
  }

  private said(v: number | null | undefined): string {
    return v === null || v === undefined ? '–' : this.say(v);
  }

  private figure(index: number, past: boolean): void {
    this.figures.forEach((f, i) => text(f, this.said(this.data[i + 1][index])));
    text(this.when, past ? clock((this.data[0][index] as number) * 1000) : '');
  }

  /** theme draws again in the colours of now. */
  theme(): void {
    this.plot?.destroy();
    const css = (name: string): string => colour(this.box, name);
    const axis = { stroke: css('--muted'), font: '11px system-ui, sans-serif', ticks: { show: false } };
    this.plot = new uPlot({
      width: this.width(),
      height: HEIGHT,
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { time: true, range: (_u, _min, max) => [max - SECONDS, max] },
        y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.15)] },
      },
      axes: [
        { ...axis, size: 22, grid: { show: false }, space: 56, values: (_u, ts) => ts.map((t) => clock(t * 1000).slice(0, 5)) },
        { ...axis, size: 66, space: 30, incrs: this.steps, grid: { stroke: css('--line'), width: 1 }, values: (_u, vs) => vs.map((v) => this.axis(v)) },
      ],
      series: [
        {},
        ...this.lines.map((l, i) => ({
          label: l.label, stroke: css(`--${l.colour}`), width: 1.75, points: { show: false },
          fill: i === 0 ? css(`--${l.colour}-soft`) : undefined,
        })),
      ],
      hooks: {
        setCursor: [(u) => {
          const i = u.cursor.idx;
          if (i === null || i === undefined) this.figure(this.data[0].length - 1, false);
          else this.figure(i, true);
        }],
      },
    }, this.data as uPlot.AlignedData, find<HTMLElement>('.plot-canvas', this.box));
  }
}

/** colour resolves a custom property: a canvas knows none. */
function colour(within: Element, name: string): string {
  const probe = el('span');
  probe.style.color = `var(${name})`;
  within.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export interface Sample {
  received: number;
  sent: number;
  connections: number;
  active: number;
}

/** Plots are the three of the page. */
export class Plots {
  private readonly throughput = new Plot(find('#plot-throughput'), 'Throughput',
    [{ label: 'to clients', colour: 'plot-a' }, { label: 'from clients', colour: 'plot-b' }], rate, (n) => rate(n).replace('.0 ', ' '), BINARY);
  private readonly fresh = new Plot(find('#plot-rate'), 'New connections',
    [{ label: 'a second', colour: 'plot-c' }], perSecond, short);
  private readonly live = new Plot(find('#plot-live'), 'Live connections',
    [{ label: 'now', colour: 'plot-d' }], count, short);

  add(time: number, s: Sample | null): void {
    this.throughput.add(time, s ? [s.sent, s.received] : [null, null]);
    this.fresh.add(time, [s ? s.connections : null]);
    this.live.add(time, [s ? s.active : null]);
  }

  draw(): void {
    for (const plot of [this.throughput, this.fresh, this.live]) plot.draw();
  }

  theme(): void {
    for (const plot of [this.throughput, this.fresh, this.live]) plot.theme();
  }
}
