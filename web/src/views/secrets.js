import { html } from '../lib/html.js';
import { Values } from '../parts/values.js';
import { keysOf } from './configmaps.js';

const secrets = {
  group: '', version: 'v1', plural: 'secrets', kind: 'Secret', title: 'Secrets', namespaced: true,
  columns: [
    { title: 'Type', width: 'minmax(100px, 1.5fr)', get: (o) => o.type, room: 'middle' },
    { title: 'Data', width: '60px', get: (o) => keysOf(o).length },
    { title: 'Keys', width: 'minmax(120px, 2fr)', get: (o) => keysOf(o).join(', '), mono: true },
  ],
  summary: (o) => [['Type', o.type], ['Immutable', o.immutable && 'yes']],
  sections: (o) => html`<${Values} object=${o} secret=${true} />`,
};

export default { id: 'secrets', title: 'Secrets', resources: [secrets] };
