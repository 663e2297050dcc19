// What a ConfigMap or a Secret holds. A secret's values are shown one by one, when asked for.

import { useState } from 'preact/hooks';
import { bytes } from '../lib/format.js';
import { html } from '../lib/html.js';
import { byteLength, decode } from '../lib/secrets.js';
import { Empty } from './bits.js';
import { copy } from './toasts.js';

export function Values({ object, secret = false }) {
  const plain = secret ? {} : (object.data ?? {});
  const packed = secret ? (object.data ?? {}) : (object.binaryData ?? {});
  const entries = [
    ...Object.entries(plain).map(([key, text]) => ({ key, size: new Blob([text]).size, read: () => text })),
    ...Object.entries(packed).map(([key, base64]) => ({ key, size: byteLength(base64), read: () => decode(base64) })),
  ];
  return html`<section>
    <h3>Data</h3>
    ${entries.length === 0 && html`<${Empty}>It holds nothing.<//>`}
    ${entries.map((entry) => html`<${Value} key=${`${object.metadata.uid}/${entry.key}`} entry=${entry} hidden=${secret} />`)}
  </section>`;
}

function Value({ entry, hidden }) {
  const [isShown, show] = useState(!hidden);
  const text = isShown ? entry.read() : null;
  return html`<div class="card">
    <div class="card-head">
      <strong class="mono">${entry.key}</strong><span class="dim">${bytes(entry.size)}</span><span class="grow" />
      ${hidden && html`<button class="quiet" onClick=${() => show(!isShown)}>${isShown ? 'Hide' : 'Show'}</button>`}
      <button class="quiet" onClick=${() => copy(entry.read() ?? '', entry.key)}>Copy</button>
    </div>
    ${isShown && (text === null ? html`<${Empty}>These bytes are no text.<//>` : html`<pre class="value">${text}</pre>`)}
  </div>`;
}
