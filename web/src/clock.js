// The time as far as ages show it.

import { signal } from '@preact/signals';

const TICK = 2_000;

export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, TICK);
