import { html } from '../lib/html.js';
import { Values } from '../parts/values.js';

export const keysOf = (o) => Object.keys({ ...o.data, ...o.binaryData });

const configmaps = {
  group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', title: 'ConfigMaps', namespaced: true,
  columns: [
    { title: 'Data', width: '60px', get: (o) => keysOf(o).length },
    { title: 'Keys', width: 'minmax(120px, 3fr)', get: (o) => keysOf(o).join(', '), mono: true },
  ],
  summary: (o) => [['Immutable', o.immutable && 'yes']],
  sections: (o) => html`<${Values} object=${o} />`,
};

export default { id: 'configmaps', title: 'ConfigMaps', resources: [configmaps] };
