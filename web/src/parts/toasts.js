// Short words about what was done, or was not.

import { signal } from '@preact/signals';
import { html } from '../lib/html.js';

const SHOWN = 4_000;
const toasts = signal([]);
let last = 0;

export function toast(words, tone = 'ok') {
  const id = (last += 1);
  toasts.value = [...toasts.value, { id, words, tone }].slice(-4);
  setTimeout(() => close(id), tone === 'bad' ? 3 * SHOWN : SHOWN);
}

const close = (id) => {
  toasts.value = toasts.value.filter((one) => one.id !== id);
};

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    toast(`${what} could not be copied: the browser does not allow it`, 'bad');
  }
}

export const Toasts = () => html`<div class="toasts" role="status" aria-live="polite">
  ${toasts.value.map(({ id, words, tone }) => html`<div class="toast ${tone}" key=${id} onClick=${() => close(id)}>${words}</div>`)}
</div>`;
