import { html } from '../lib/html.js';
import { podCounts, podStatus } from '../lib/status.js';
import { ObjectLink, Status } from '../parts/bits.js';
import { Containers } from '../parts/containers.js';

const ready = (pod) => {
  const counts = podCounts(pod);
  return `${counts.ready}/${counts.total}`;
};

export const pods = {
  group: '', version: 'v1', plural: 'pods', kind: 'Pod', title: 'Pods', namespaced: true,
  tabs: ['logs', 'terminal'],
  status: podStatus,
  columns: [
    { title: 'Ready', width: '58px', get: ready },
    { title: 'Status', width: 'minmax(144px, 1.1fr)', get: (o) => podStatus(o).word, show: (o) => html`<${Status} ...${podStatus(o)} />` },
    { title: 'Restarts', width: '72px', get: (o) => podCounts(o).restarts, room: 'middle' },
    { title: 'IP', width: '112px', get: (o) => o.status?.podIP ?? '', mono: true, room: 'wide' },
    { title: 'Node', width: 'minmax(80px, .8fr)', get: (o) => o.spec?.nodeName ?? '', room: 'wide' },
  ],
  summary: (o) => [
    ['Node', o.spec.nodeName && html`<${ObjectLink} plural="nodes" name=${o.spec.nodeName} />`],
    ['Address', o.status?.podIP && html`<code>${o.status.podIP}</code>`],
    ['Service account', o.spec.serviceAccountName],
    ['Restart policy', o.spec.restartPolicy],
    ['Quality of service', o.status?.qosClass],
    ['Priority class', o.spec.priorityClassName],
    ['Why', o.status?.message],
  ],
  sections: (o) => html`<${Containers} pod=${o} />`,
};

export default { id: 'pods', title: 'Pods', resources: [pods] };
