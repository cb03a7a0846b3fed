// Light and dark: as the system has it, until somebody chooses.

import { find, text } from './dom.ts';

type Choice = 'auto' | 'light' | 'dark';

const KEY = 'sluice-theme';
const NEXT: Record<Choice, Choice> = { auto: 'light', light: 'dark', dark: 'auto' };

/** Theme is the switch. */
export class Theme {
  private choice: Choice = 'auto';
  private readonly button = find('#theme');
  private readonly changed: () => void;

  constructor(changed: () => void) {
    this.changed = changed;
    const stored = remembered();
    if (stored === 'light' || stored === 'dark') this.choice = stored;
    this.apply();
    this.button.addEventListener('click', () => {
      this.choice = NEXT[this.choice];
      try {
        localStorage.setItem(KEY, this.choice);
      } catch {
        // It is forgotten with the page.
      }
      this.apply();
      this.changed();
    });
    window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.changed());
  }

  private apply(): void {
    if (this.choice === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.choice;
    text(this.button, { auto: 'Auto', light: 'Light', dark: 'Dark' }[this.choice]);
    this.button.setAttribute('aria-label', `Colours: ${this.choice}. Change`);
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is closed to the page
  }
}
