// What the page uses of d3-sankey 0.12.3: the layout itself.

/** N and L are what the caller has put on nodes and links. */
export type LaidNode<N> = N & { x0: number; x1: number; y0: number; y1: number };
export type LaidLink<N, L> = L & {
  source: LaidNode<N>;
  target: LaidNode<N>;
  width: number;
  y0: number;
  y1: number;
};

export interface Layout<N, L> {
  (graph: { nodes: N[]; links: L[] }): { nodes: LaidNode<N>[]; links: LaidLink<N, L>[] };
  nodeId(id: (node: N) => string): this;
  nodeAlign(align: (node: N, columns: number) => number): this;
  nodeSort(sort: null | ((a: N, b: N) => number)): this;
  nodeWidth(width: number): this;
  nodePadding(padding: number): this;
  extent(extent: [[number, number], [number, number]]): this;
  iterations(count: number): this;
}

export default function sankey<N, L>(): Layout<N, L>;
