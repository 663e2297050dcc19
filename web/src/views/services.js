import { computed } from '@preact/signals';
import { endpointSlices, isAnswering, serviceOf } from '../cluster/endpoint-slices.js';
import { collection, useCollection } from '../cluster/live.js';
import { labels } from '../lib/format.js';
import { html } from '../lib/html.js';
import { addresses, portText } from '../lib/services.js';
import { Chips, Status } from '../parts/bits.js';
import { Endpoints } from '../parts/related.js';

/** How many endpoints of each service are ready, by `namespace/name`. */
const readyOf = computed(() => {
  const counts = new Map();
  for (const slice of collection(endpointSlices).state.value.items.values()) {
    const ready = (slice.endpoints ?? []).filter(isAnswering).length;
    counts.set(serviceOf(slice), (counts.get(serviceOf(slice)) ?? 0) + ready);
  }
  return counts;
});

/** A link where somebody answers; the bare address where nobody does. */
function Address({ service }) {
  useCollection(endpointSlices);
  const [best] = addresses(service, location.hostname);
  if (!best) return html`<span class="dim">${service.spec.externalName ?? '—'}</span>`;
  const ready = readyOf.value.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? 0;
  if (!best.url || ready === 0) return html`<span class="dim" title=${ready ? '' : 'no endpoint is ready: nobody answers here'}>${best.text}</span>`;
  return html`<a class="out" href=${best.url} target="_blank" rel="noreferrer noopener">${best.text}</a>`;
}

function Ready({ service }) {
  useCollection(endpointSlices);
  const ready = readyOf.value.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? 0;
  if (service.spec.type === 'ExternalName') return html`<span class="dim">—</span>`;
  return html`<${Status} word=${String(ready)} tone=${ready ? 'ok' : 'off'} />`;
}

const address = (o) => addresses(o, location.hostname)[0]?.text ?? '';
const all = (o) => addresses(o, location.hostname).map(({ url, text, kind }) =>
  html`<div>${url ? html`<a class="out" href=${url} target="_blank" rel="noreferrer noopener">${text}</a>` : html`<code>${text}</code>`} <span class="dim">${kind}</span></div>`);

export const services = {
  group: '', version: 'v1', plural: 'services', kind: 'Service', title: 'Services', namespaced: true,
  columns: [
    { title: 'Type', width: '104px', get: (o) => o.spec.type ?? 'ClusterIP', room: 'middle' },
    { title: 'Address', width: 'minmax(130px, 1.4fr)', get: address, show: (o) => html`<${Address} service=${o} />`, mono: true },
    { title: 'Cluster IP', width: '108px', get: (o) => o.spec.clusterIP ?? '', mono: true, room: 'wide' },
    { title: 'Ports', width: 'minmax(90px, 1.1fr)', get: portText, mono: true, room: 'wide' },
    { title: 'Endpoints', width: '84px', get: () => '', show: (o) => html`<${Ready} service=${o} />` },
  ],
  summary: (o) => [
    ['Type', o.spec.type],
    ['Addresses', all(o)],
    ['Cluster IP', o.spec.clusterIP && html`<code>${o.spec.clusterIP}</code>`],
    ['Ports', portText(o)],
    ['Session affinity', o.spec.sessionAffinity],
    ['External name', o.spec.externalName],
    ['Selector', html`<${Chips} items=${labels(o.spec.selector)} />`],
  ],
  sections: (o) => html`<${Endpoints} service=${o} />`,
};

export default { id: 'services', title: 'Services', resources: [services] };
