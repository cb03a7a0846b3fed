// Where the boxes of the picture are and how wide its flows. Pure functions
// around d3-sankey, which is made to count in pixels: a box is as high as its
// text needs, or as its flows need when that is more.
//
// The graph is given to it the other way round, endpoints first: what it places
// last keeps to its neighbours, and endpoints are what there is most of. So a
// filter chain is beside its endpoints, and a listener beside its chains.

import sankey from '../third_party/d3-sankey/d3-sankey.js';
import { KINDS, type Graph, type Mode } from './graph.ts';

export interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Ribbon {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  width: number;
}

export interface Picture {
  width: number;
  height: number;
  boxes: Map<string, Place>;
  links: Map<string, Ribbon>;
  columns: number[]; // where each begins
}

const ROW = 46; // px: a box with two lines of text
const GAP = 11; // px between boxes
const THIN = 1.5; // px: a way on which nothing flows now
const MOST = 220; // px: everything that flows, together
const LEAST_WIDTH = 640; // px: narrower, and it scrolls within its frame

interface Node {
  id: string;
  column: number;
  fixedValue: number;
}

interface Flowing {
  id: string;
  source: string;
  target: string;
  value: number;
}

/** layout places the boxes of a graph within so many pixels of width. */
export function layout(graph: Graph, mode: Mode, available: number): Picture {
  const width = Math.max(LEAST_WIDTH, available);
  const between = Math.max(40, width * 0.085);
  const boxWidth = (width - 3 * between) / 4;
  const amount = (x: { active: number; rate: number }): number => (mode === 'connections' ? x.active : x.rate);

  const links = widths(graph, amount);
  const nodes = heights(graph, links);
  const height = nodes.reduce<number[]>((sum, n) => {
    sum[n.column] += n.fixedValue + GAP;
    return sum;
  }, KINDS.map(() => 0)).reduce((a, b) => Math.max(a, b), ROW + GAP);

  // Ways of no width, over all columns: without them a configuration of which
  // nothing leads on would have fewer columns. Their row is taken off again.
  const phantoms: Node[] = KINDS.map((kind, column) => ({ id: `phantom ${kind}`, column, fixedValue: 0 }));
  const through: Flowing[] = phantoms.slice(1).map((p, i) => ({ id: p.id, source: phantoms[i].id, target: p.id, value: 0 }));

  const place = sankey<Node, Flowing>()
    .nodeId((n) => n.id)
    .nodeAlign((n) => n.column)
    .nodeSort(null)
    .nodeWidth(boxWidth)
    .nodePadding(GAP)
    .iterations(12)
    .extent([[0, 0], [width, height]]);
  return measure(place({ nodes: [...nodes, ...phantoms], links: [...links, ...through] }), width, height - GAP,
    KINDS.map((_, i) => i * (boxWidth + between)));
}

function widths(graph: Graph, amount: (x: { active: number; rate: number }) => number): Flowing[] {
  const column = new Map(graph.boxes.map((b) => [b.id, KINDS.indexOf(b.kind)]));
  const total = KINDS.map(() => 0);
  for (const l of graph.links) total[column.get(l.from)!] += amount(l);
  const most = Math.max(...total);
  // Little does not fill the picture: one connection is as wide as a line of
  // text, and the more there is, the more room it has.
  const scale = most > 0 ? Math.min(MOST, 24 + 60 * Math.log10(1 + most)) / most : 0;
  return graph.links.map((l) => ({ id: l.id, source: l.to, target: l.from, value: THIN + amount(l) * scale }));
}

function heights(graph: Graph, links: Flowing[]): Node[] {
  const into = new Map<string, number>();
  const out = new Map<string, number>();
  for (const l of links) {
    into.set(l.source, (into.get(l.source) ?? 0) + l.value);
    out.set(l.target, (out.get(l.target) ?? 0) + l.value);
  }
  return graph.boxes.map((b) => ({
    id: b.id,
    column: KINDS.length - 1 - KINDS.indexOf(b.kind),
    fixedValue: Math.max(ROW, 12 + Math.max(into.get(b.id) ?? 0, out.get(b.id) ?? 0)),
  }));
}

type Laid = ReturnType<ReturnType<typeof sankey<Node, Flowing>>>;

/** measure takes the places over, with the flows in the middle of their boxes. */
function measure(laid: Laid, width: number, height: number, columns: number[]): Picture {
  const picture: Picture = { width, height, boxes: new Map(), links: new Map(), columns };
  const into = new Map<object, number>();
  const out = new Map<object, number>();
  for (const l of laid.links) {
    into.set(l.source, (into.get(l.source) ?? 0) + l.width);
    out.set(l.target, (out.get(l.target) ?? 0) + l.width);
  }
  for (const n of laid.nodes) {
    if (n.fixedValue === 0) continue;
    picture.boxes.set(n.id, { x: width - n.x1, y: n.y0, width: n.x1 - n.x0, height: n.y1 - n.y0 });
  }
  for (const l of laid.links) {
    if (l.source.fixedValue === 0) continue;
    const down = (n: Laid['nodes'][number], used: number): number => (n.y1 - n.y0 - used) / 2;
    picture.links.set(l.id, {
      x0: width - l.target.x0, y0: l.y1 + down(l.target, out.get(l.target)!),
      x1: width - l.source.x1, y1: l.y0 + down(l.source, into.get(l.source)!),
      width: l.width,
    });
  }
  return picture;
}

/** ribbon is the outline of a flow as an SVG path, from one box to the next. */
export function ribbon(r: Ribbon): string {
  const half = r.width / 2;
  const bend = (r.x1 - r.x0) * 0.5;
  const p = (x: number, y: number): string => `${x.toFixed(1)} ${y.toFixed(1)}`;
  return `M${p(r.x0, r.y0 - half)}C${p(r.x0 + bend, r.y0 - half)} ${p(r.x1 - bend, r.y1 - half)} ${p(r.x1, r.y1 - half)}` +
    `L${p(r.x1, r.y1 + half)}C${p(r.x1 - bend, r.y1 + half)} ${p(r.x0 + bend, r.y0 + half)} ${p(r.x0, r.y0 + half)}Z`;
}
