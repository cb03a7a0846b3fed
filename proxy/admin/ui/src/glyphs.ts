// Small signs. Each state of an endpoint has a shape of its own, so that it is
// told without colour.

import { svg } from './dom.ts';

const SHAPES: Record<string, string> = {
  // a disc with a tick; with a cross; an empty ring; an arrow up and out; down; a pause
  healthy: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm3.2 4.2L7 9.6 4.9 7.4 3.8 8.5 7 11.8l5.3-5.5Z',
  unhealthy: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1ZM5.6 4.5 4.5 5.6 6.9 8l-2.4 2.4 1.1 1.1L8 9.1l2.4 2.4 1.1-1.1L9.1 8l2.4-2.4-1.1-1.1L8 6.9Z',
  unchecked: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm0 1.8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 0 0 8 2.8Z',
  ejected: 'M8 1.5 15.3 14.5H.7ZM7.2 6v4.2h1.6V6Zm0 5.2v1.6h1.6v-1.6Z',
  drain: 'M7 1h2v8.2l3.1-3.1 1.4 1.4L8 13 2.5 7.5l1.4-1.4L7 9.2ZM2.5 13.4h11V15h-11Z',
  maint: 'M2.5 1.5h11a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1Zm3 3v7h1.8v-7Zm3.2 0v7h1.8v-7Z',
  lock: 'M8 1a3.6 3.6 0 0 1 3.6 3.6V7H13v8H3V7h1.4V4.6A3.6 3.6 0 0 1 8 1Zm0 1.7a1.9 1.9 0 0 0-1.9 1.9V7h3.8V4.6A1.9 1.9 0 0 0 8 2.7Z',
};

/** glyph is the sign of that name; words beside it say what it means. */
export function glyph(name: string, kind = name): SVGSVGElement {
  const known = SHAPES[name] ? name : 'unchecked';
  return svg('svg', { class: `glyph is-${kind}`, viewBox: '0 0 16 16', width: 12, height: 12, 'aria-hidden': 'true' },
    svg('path', { d: SHAPES[known], 'fill-rule': 'evenodd' }));
}

/** STATUSES is every state of an endpoint, and what it means. */
export const STATUSES: [name: string, meaning: string][] = [
  ['healthy', 'its checks pass'],
  ['unhealthy', 'its checks fail: it gets no connections'],
  ['unchecked', 'nothing checks it, or nothing has yet: it gets connections'],
  ['ejected', 'connections to it failed: it gets none for a while'],
  ['drain', 'an operator lets it empty: it gets no new connections'],
  ['maint', 'an operator took it out'],
];
