// Login, the question before something is ended, and what came of it.

import { Refused, post } from './api.ts';
import { find, text } from './dom.ts';
import type { Session } from './types.ts';

/** notice says something for a while, also to screen readers. */
export function notice(words: string, bad = false): void {
  const box = find('#notice');
  text(box, words.charAt(0).toUpperCase() + words.slice(1));
  box.classList.toggle('bad', bad);
  box.classList.add('shown');
  window.clearTimeout(Number(box.dataset.timer));
  box.dataset.timer = String(window.setTimeout(() => box.classList.remove('shown'), bad ? 12000 : 6000));
}

/** words is what went wrong, for people. */
export function words(error: unknown): string {
  if (error instanceof Refused) return error.message;
  return 'the gateway does not answer';
}

/** confirm asks once; the answer no is what Escape and closing mean. */
export function confirm(title: string, body: string, yes: string): Promise<boolean> {
  const dialog = find<HTMLDialogElement>('#confirm');
  text(find('h2', dialog), title);
  text(find('p', dialog), body);
  const button = find<HTMLButtonElement>('button[value=yes]', dialog);
  text(button, yes);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

/** Login is the dialog that takes the token, and the state of the session. */
export class Login {
  private readonly dialog = find<HTMLDialogElement>('#login');
  private readonly field = find<HTMLInputElement>('#token');
  private readonly failure = find('#login-failure');
  private readonly changed: () => void;

  /** changed is called when somebody has logged in or out. */
  constructor(changed: () => void) {
    this.changed = changed;
    find('form', this.dialog).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.send();
    });
    find('#login-cancel').addEventListener('click', () => this.dialog.close());
  }

  open(): void {
    this.field.value = '';
    text(this.failure, '');
    if (!this.dialog.open) this.dialog.showModal();
    this.field.focus();
  }

  private async send(): Promise<void> {
    try {
      await post('login', { token: this.field.value.trim() });
      this.dialog.close();
      this.changed();
    } catch (error) {
      text(this.failure, words(error));
      this.field.select();
    }
  }

  async out(): Promise<void> {
    try {
      await post('logout');
    } catch (error) {
      notice(`Not logged out: ${words(error)}`, true);
    }
    this.changed();
  }
}

/** howToChange says what somebody who may only read can do about it. */
export function howToChange(session: Session | undefined): string {
  if (session?.token_configured) return 'Read only. Log in with the admin token to end connections and to drain endpoints.';
  return 'Read only. To change anything from here, give admin a token_file, or use the command line over the unix socket.';
}
