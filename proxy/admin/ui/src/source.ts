// The configuration as it was written, around a place in it.

import { get } from './api.ts';
import { el, replace } from './dom.ts';
import type { ConfigFile } from './types.ts';

const MOST_LINES = 60;

/** Source fetches the files once for each configuration, and only for who may see them. */
export class Source {
  private files?: Promise<ConfigFile[]>;
  allowed = false;

  /** forget is called when another configuration runs, or another visitor looks. */
  forget(): void {
    this.files = undefined;
  }

  /** show puts the lines of the block at a position into a box. */
  async show(box: HTMLElement, position: string): Promise<void> {
    if (!this.allowed) {
      replace(box, el('p', { class: 'hint' }, 'Log in to see the lines of the configuration.'));
      return;
    }
    try {
      this.files ??= get<{ files: ConfigFile[] }>('config').then((c) => c.files);
      const lines = block(await this.files, position);
      replace(box, lines && el('pre', { class: 'source', tabindex: 0, 'aria-label': `lines at ${position}` },
        ...lines.map(([n, line]) => el('span', { class: 'source-line' }, el('i', { 'aria-hidden': 'true' }, n), `${line}\n`))));
    } catch {
      this.files = undefined;
      replace(box);
    }
  }
}

/** block is the lines of the block that begins at file:line, numbered. */
function block(files: ConfigFile[], position: string): [number, string][] | null {
  const at = /^(.*):(\d+)$/.exec(position);
  if (!at) return null;
  const [, name, line] = at;
  const file = files.find((f) => f.name === name) ?? files.find((f) => f.name.endsWith(`/${name}`) || name.endsWith(`/${f.name}`));
  if (!file) return null;
  const lines = file.text.split('\n');
  const first = Number(line) - 1;
  const out: [number, string][] = [];
  let depth = 0;
  for (let i = first; i < lines.length && out.length < MOST_LINES; i++) {
    out.push([i + 1, lines[i]]);
    depth += opened(lines[i]);
    if (depth <= 0) break;
  }
  const indent = Math.min(...out.filter(([, l]) => l.trim()).map(([, l]) => l.length - l.trimStart().length));
  return out.map(([n, l]) => [n, l.slice(indent)]);
}

/** opened is how many braces a line leaves open, those in quotes and comments not counted. */
function opened(line: string): number {
  const bare = line.replace(/"(?:[^"\\]|\\.)*"/g, '').replace(/(#|\/\/).*$/, '');
  return bare.split('{').length - bare.split('}').length;
}
