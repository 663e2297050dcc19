// A view that is nothing but tables: one for each of its resources.

import { useCollection } from '../cluster/live.js';
import { isServed } from '../cluster/discovery.js';
import { plural } from '../lib/format.js';
import { html } from '../lib/html.js';
import { go, route } from '../route.js';
import { Empty } from './bits.js';
import { Table, useOrder, useShown } from './table.js';

export function List({ view }) {
  const resources = view.resources.filter(isServed);
  return html`<div onClick=${open}>${resources.map((resource) => html`<${Section} key=${resource.plural} resource=${resource} alone=${resources.length === 1} />`)}</div>`;
}

/** One handler for all rows. A link in a cell goes where it points. */
function open(event) {
  if (event.target.closest('a:not(.name), button') || event.metaKey || event.ctrlKey || String(getSelection())) return;
  const row = event.target.closest('[data-show]');
  if (!row) return;
  event.preventDefault();
  go({ show: row.dataset.show, tab: '' });
}

function Section({ resource, alone }) {
  const { items, loaded } = useCollection(resource);
  const [order, orderBy] = useOrder(resource);
  const objects = useShown(resource, items, order);
  const title = alone ? '' : html`<h2>${resource.title} <span class="dim">${loaded ? objects.length : ''}</span></h2>`;
  if (!loaded) return html`<section>${title}<${Empty}>Loading …<//></section>`;
  if (objects.length === 0) return alone || items.size ? html`<section>${title}<${Nothing} resource=${resource} some=${items.size} /></section>` : null;
  return html`<section>${title}<${Table} ...${{ resource, objects, order, orderBy }} /></section>`;
}

function Nothing({ resource, some }) {
  const word = resource.title.toLowerCase();
  if (!some) return html`<${Empty}>There are no ${word} yet.<//>`;
  const { ns, q } = route.value;
  return html`<${Empty}>
    ${plural(some, 'object')} hidden by ${[ns && `the namespace ${ns}`, q && `the filter “${q}”`].filter(Boolean).join(' and ')}.
    <button class="quiet" onClick=${() => go({ ns: '', q: '' })}>Show all</button>
  <//>`;
}
