// A table of objects: sorted, keyed, and drawn anew only where an object has changed.

import { Component } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { inNamespace, matches, sorted } from '../lib/filter.js';
import { html } from '../lib/html.js';
import { keyOf } from '../lib/reduce.js';
import { href, route, showing } from '../route.js';
import { Age } from './bits.js';

const NAME = { title: 'Name', width: 'minmax(150px, 2.2fr)', get: (o) => o.metadata.name, name: true };
const NAMESPACE = { title: 'Namespace', width: 'minmax(84px, 1fr)', get: (o) => o.metadata.namespace, room: 'middle' };
const AGE = {
  title: 'Age', width: '60px', get: (o) => -Date.parse(o.metadata.creationTimestamp), hidden: true,
  show: (o) => html`<${Age} since=${o.metadata.creationTimestamp} />`,
};

/** A column is `{ title, width, get(object), show?(object), room?, mono? }`: `get` is what is sorted and searched by, and `room` is
 * how much of it there must be for the column to be seen: `wide` or `middle`. */
function columnsOf(resource, namespace) {
  if (resource.ownColumns) return resource.columns;
  return [NAME, ...(resource.namespaced && !namespace ? [NAMESPACE] : []), ...resource.columns, AGE];
}

/** Those that the filters leave, in order. Typing filters what is sorted already. */
export function useShown(resource, items, order) {
  const { ns, q } = route.value;
  const inOrder = useMemo(() => sorted([...items.values()], order.column.get, order.descending), [items, order]);
  return useMemo(() => {
    const texts = columnsOf(resource).filter((column) => !column.hidden);
    const cells = (object) => (q ? texts.map((column) => String(column.get(object) ?? '')) : []);
    return inOrder.filter((object) => inNamespace(object, ns) && matches(object, q, cells(object)));
  }, [resource, inOrder, ns, q]);
}

export function useOrder(resource) {
  const [order, setOrder] = useState(() => ({ column: resource.order ?? NAME, descending: false }));
  const by = (column) => setOrder({ column, descending: order.column.title === column.title && !order.descending });
  return [order, by];
}

export function Table({ resource, objects, order, orderBy }) {
  const columns = columnsOf(resource, route.value.ns);
  const template = (some) => some.map((column) => column.width).join(' ');
  const style = {
    '--wide': template(columns),
    '--middle': template(columns.filter((c) => c.room !== 'wide')),
    '--narrow': template(columns.filter((c) => !c.room)),
  };
  return html`<div class="table" role="table" style=${style}>
    <div class="row head" role="row">
      ${columns.map((column) => html`<${Head} key=${column.title} ...${{ column, order, orderBy }} />`)}
    </div>
    ${objects.map((object) => {
      const show = showing(resource, object);
      return html`<${Row} key=${keyOf(object)} ...${{ object, columns: columns.length, all: columns, show, selected: show === route.value.show }} />`;
    })}
  </div>`;
}

function Head({ column, order, orderBy }) {
  const sort = order.column.title === column.title ? (order.descending ? 'descending' : 'ascending') : 'none';
  return html`<button class="cell ${column.room ?? ''}" role="columnheader" aria-sort=${sort} onClick=${() => orderBy(column)}>${column.title}</button>`;
}

class Row extends Component {
  shouldComponentUpdate(next) {
    const { object, columns, selected, show } = this.props;
    return next.object !== object || next.columns !== columns || next.selected !== selected || next.show !== show;
  }

  render({ object, all, show, selected }) {
    const off = object.metadata.deletionTimestamp ? 'leaving' : '';
    return html`<div class="row ${selected ? 'selected' : ''} ${off}" role="row" tabindex="0" data-show=${show} aria-selected=${selected}>
      ${all.map((column) => html`<div class="cell ${column.room ?? ''} ${column.mono ? 'mono' : ''}" role="cell">${this.cell(column, object, show)}</div>`)}
    </div>`;
  }

  cell(column, object, show) {
    if (column.name) return html`<a class="name" tabindex="-1" href=${href({ show, tab: '' })} title=${object.metadata.name}>${object.metadata.name}</a>`;
    const value = column.show ? column.show(object) : column.get(object);
    return typeof value === 'string' ? html`<span title=${value}>${value}</span>` : value;
  }
}

