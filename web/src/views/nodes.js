import { useCollection } from '../cluster/live.js';
import { bytes, cores, quantity } from '../lib/format.js';
import { html } from '../lib/html.js';
import { nodeStatus } from '../lib/status.js';
import { Status } from '../parts/bits.js';
import { NodeLoad } from '../parts/node-load.js';
import { PodsOnNode } from '../parts/related.js';
import { pods } from './pods.js';

const info = (o) => o.status?.nodeInfo ?? {};
const address = (o) => o.status?.addresses?.find((a) => a.type === 'InternalIP')?.address ?? '';
const roles = (o) => Object.keys(o.metadata.labels ?? {}).flatMap((key) => key.match(/^node-role\.kubernetes\.io\/(.+)/)?.[1] ?? []).join(', ');

function PodCount({ node }) {
  const { items } = useCollection(pods);
  return [...items.values()].filter((pod) => pod.spec.nodeName === node.metadata.name).length;
}

export const nodes = {
  group: '', version: 'v1', plural: 'nodes', kind: 'Node', title: 'Nodes', namespaced: false,
  status: nodeStatus,
  columns: [
    { title: 'Status', width: 'minmax(110px, 1fr)', get: (o) => nodeStatus(o).word, show: (o) => html`<${Status} ...${nodeStatus(o)} />` },
    { title: 'Roles', width: 'minmax(90px, 1fr)', get: roles, room: 'middle' },
    { title: 'Pods', width: '56px', get: () => '', show: (o) => html`<${PodCount} node=${o} />` },
    { title: 'Version', width: '90px', get: (o) => info(o).kubeletVersion ?? '', room: 'middle' },
    { title: 'Address', width: '112px', get: address, mono: true, room: 'wide' },
    { title: 'CPU', width: '56px', get: (o) => cores(quantity(o.status?.capacity?.cpu)), room: 'wide' },
    { title: 'Memory', width: '80px', get: (o) => bytes(quantity(o.status?.capacity?.memory)), room: 'wide' },
  ],
  summary: (o) => [
    ['Address', address(o) && html`<code>${address(o)}</code>`],
    ['System', info(o).osImage],
    ['Kernel', info(o).kernelVersion],
    ['Runtime', info(o).containerRuntimeVersion],
    ['Kubelet', info(o).kubeletVersion],
    ['Architecture', info(o).architecture],
    ['Taints', (o.spec?.taints ?? []).map((t) => `${t.key}${t.value ? `=${t.value}` : ''}:${t.effect}`).join(', ')],
  ],
  sections: (o) => html`<${NodeLoad} node=${o} /><${PodsOnNode} node=${o} />`,
};

export default { id: 'nodes', title: 'Nodes', resources: [nodes] };
