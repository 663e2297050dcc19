import { served } from '../cluster/discovery.js';
import { idOf } from '../cluster/paths.js';
import { html } from '../lib/html.js';
import { Empty } from '../parts/bits.js';
import { List } from '../parts/list.js';
import { href, route } from '../route.js';

/** The same events under another name. */
const TWICE = 'events.events.k8s.io';

/** Kinds that the API serves and no view is made for, custom ones among them. */
function others(known) {
  const shown = new Set([...known.map(idOf), TWICE]);
  return [...served.value.entries()]
    .filter(([id, resource]) => resource.followed && !shown.has(id))
    .map(([id, resource]) => ({ id, resource }))
    .sort((a, b) => a.resource.kind.localeCompare(b.resource.kind));
}

function More({ known }) {
  const all = others(known());
  const chosen = all.find(({ id }) => id === route.value.kind) ?? all[0];
  if (!chosen) return html`<${Empty}>The API serves nothing else.<//>`;
  return html`
    <nav class="kinds">${all.map(({ id, resource }) => html`<a key=${id} class=${id === chosen.id ? 'on' : ''} title=${id}
      href=${href({ kind: id, show: '', q: '' })}>${resource.kind}</a>`)}</nav>
    <${List} key=${chosen.id} view=${{ resources: [chosen.resource] }} />`;
}

/** `known` gives the resources of all views. */
export default (known) => ({ id: 'more', title: 'More', resources: [], Show: () => html`<${More} known=${known} />` });
