// How much of a node is spoken for.

import { useCollection } from '../cluster/live.js';
import { bytes, cores, quantity } from '../lib/format.js';
import { html } from '../lib/html.js';
import { pods } from '../views/pods.js';
import { Meter } from './bits.js';

/** What the containers of a pod ask for; init containers that have ended ask for nothing any more. */
const asked = (pod, resource) => pod.spec.containers.reduce((sum, c) => sum + quantity(c.resources?.requests?.[resource]), 0);

export function NodeLoad({ node }) {
  const { items } = useCollection(pods);
  const here = [...items.values()].filter((pod) => pod.spec.nodeName === node.metadata.name && !['Succeeded', 'Failed'].includes(pod.status?.phase));
  const sum = (resource) => here.reduce((total, pod) => total + asked(pod, resource), 0);
  const whole = (resource) => quantity(node.status?.allocatable?.[resource]);
  const [cpu, memory] = [sum('cpu'), sum('memory')];
  return html`<div class="meters">
    <${Meter} label="CPU requested" used=${cpu} whole=${whole('cpu')} words=${`${cores(cpu)} of ${cores(whole('cpu'))}`} />
    <${Meter} label="Memory requested" used=${memory} whole=${whole('memory')} words=${`${bytes(memory)} of ${bytes(whole('memory'))}`} />
    <${Meter} label="Pods" used=${here.length} whole=${whole('pods')} words=${`${here.length} of ${whole('pods')}`} />
  </div>`;
}
