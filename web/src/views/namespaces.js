import { html } from '../lib/html.js';
import { go } from '../route.js';
import { Status } from '../parts/bits.js';

const status = (o) => ({ word: o.status?.phase ?? 'Active', tone: o.status?.phase === 'Terminating' ? 'busy' : 'ok' });

export const namespaces = {
  group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', title: 'Namespaces', namespaced: false,
  status,
  warning: 'Everything in it is deleted as well.',
  columns: [{ title: 'Status', width: 'minmax(110px, 1fr)', get: (o) => status(o).word, show: (o) => html`<${Status} ...${status(o)} />` }],
  summary: (o) => [
    ['Show', html`<button class="quiet" onClick=${() => go({ view: 'workloads', ns: o.metadata.name, show: '' })}>its workloads</button>
      <button class="quiet" onClick=${() => go({ view: 'pods', ns: o.metadata.name, show: '' })}>its pods</button>`],
  ],
};

export default { id: 'namespaces', title: 'Namespaces', resources: [namespaces] };
