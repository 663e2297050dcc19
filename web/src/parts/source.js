// An object as it is stored.

import { useMemo, useState } from 'preact/hooks';
import { html } from '../lib/html.js';
import { redacted } from '../lib/secrets.js';
import { toYaml } from '../lib/yaml.js';
import { copy } from './toasts.js';

export function Source({ object }) {
  const [format, setFormat] = useState('YAML');
  const [managed, showManaged] = useState(false);
  const [secret, showSecret] = useState(false);
  const text = useMemo(() => {
    const { apiVersion, kind, metadata, ...rest } = secret ? object : redacted(object);
    const { managedFields, ...meta } = metadata;
    const ordered = { apiVersion, kind, metadata: managed ? metadata : meta, ...rest };
    return format === 'YAML' ? toYaml(ordered) : `${JSON.stringify(ordered, null, 2)}\n`;
  }, [object, format, managed, secret]);
  return html`<div class="tool">
    <div class="bar">
      <div class="switch">${['YAML', 'JSON'].map((one) => html`<button class=${one === format ? 'on' : ''} onClick=${() => setFormat(one)}>${one}</button>`)}</div>
      ${object.metadata.managedFields && html`<label><input type="checkbox" checked=${managed} onChange=${() => showManaged(!managed)} /> managed fields</label>`}
      ${object.kind === 'Secret' && html`<label><input type="checkbox" checked=${secret} onChange=${() => showSecret(!secret)} /> values</label>`}
      <span class="grow" />
      <button class="quiet" onClick=${() => copy(text, format)}>Copy</button>
    </div>
    <pre class="source" tabindex="0"><${Coloured} text=${text} /></pre>
  </div>`;
}

const KEY = /^(\s*(?:- )*)("?[^\s":][^":]*"?)(:)(?=\s|$)/;

/** Keys stand out; the rest is text. */
const Coloured = ({ text }) =>
  text.split('\n').map((line) => {
    const found = KEY.exec(line);
    return found ? html`${found[1]}<b>${found[2]}</b>:${line.slice(found[0].length)}${'\n'}` : `${line}\n`;
  });
