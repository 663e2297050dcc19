// Changes are gathered and shown once a frame: a thousand events are one picture.

import { batch } from '@preact/signals';

const HIDDEN_PAUSE = 500; // nobody looks, and hidden pages get no frames
const waiting = new Set();
let planned = false;

export function atNextFrame(change) {
  waiting.add(change);
  if (planned) return;
  planned = true;
  if (document.hidden) setTimeout(run, HIDDEN_PAUSE);
  else requestAnimationFrame(run);
}

function run() {
  planned = false;
  const changes = [...waiting];
  waiting.clear();
  batch(() => changes.forEach((change) => change()));
}

// a frame that was planned while the page was seen does not come once it is hidden
document.addEventListener('visibilitychange', () => planned && setTimeout(() => planned && run(), HIDDEN_PAUSE));
