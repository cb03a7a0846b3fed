// Building the page. Text is only ever set as text: names in here come from
// clients and from configuration files, and none of them is ever read as HTML.

export type Child = Node | string | number | null | undefined | false;

type Props = Record<string, string | number | boolean | EventListener | undefined>;

function fill(node: Element, props: Props, children: Child[]): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  append(node, ...children);
}

export function append(node: Element, ...children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/** el makes an HTML element. A property that is a function listens to that event. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  fill(node, props, children);
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const node = document.createElementNS(SVG, tag);
  fill(node, props, children);
  return node;
}

/** replace puts children in place of what node holds. */
export function replace(node: Element, ...children: Child[]): void {
  node.replaceChildren();
  append(node, ...children);
}

/** text sets what node says, and touches nothing when it says that already. */
export function text(node: Element, value: string): void {
  if (node.textContent !== value) node.textContent = value;
}

/** find gives an element that index.html has. */
export function find<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T {
  const node = within.querySelector<T>(selector);
  if (!node) throw new Error(`BUG: the page has no ${selector}`);
  return node;
}
