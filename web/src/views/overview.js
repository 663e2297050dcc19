import { useMemo } from 'preact/hooks';
import { isServed, version } from '../cluster/discovery.js';
import { useCollection } from '../cluster/live.js';
import { newestFirst, pluralOf } from '../lib/events.js';
import { inNamespace } from '../lib/filter.js';
import { plural } from '../lib/format.js';
import { html } from '../lib/html.js';
import { nodeStatus, podStatus } from '../lib/status.js';
import { Empty, ObjectLink, Status } from '../parts/bits.js';
import { NodeLoad } from '../parts/node-load.js';
import { EventLine } from '../parts/related.js';
import { href, route } from '../route.js';
import { events } from './events.js';
import { nodes } from './nodes.js';
import { pods } from './pods.js';
import { services } from './services.js';
import { deployments } from './workloads.js';

const WARNINGS = 12;
const TONES = [['ok', 'running'], ['busy', 'on their way'], ['bad', 'in trouble'], ['done', 'completed'], ['off', 'unknown']];

function useItems(resource) {
  const { items, loaded } = useCollection(resource);
  const { ns } = route.value;
  const objects = useMemo(() => [...items.values()].filter((object) => inNamespace(object, ns)), [items, ns]);
  return { objects, loaded };
}

function Overview() {
  return html`<div class="overview">
    <div class="tiles"><${PodTile} /><${DeploymentTile} /><${ServiceTile} /></div>
    <${NodeCards} />
    <${Warnings} />
    <${FirstSteps} />
  </div>`;
}

function Tile({ view, number, word, loaded, children }) {
  return html`<a class="tile" href=${href({ view, show: '', q: '' })}>
    <div class="number">${loaded ? number : '…'}</div><div class="word">${word}</div>
    <div class="under">${children}</div>
  </a>`;
}

function PodTile() {
  const { objects, loaded } = useItems(pods);
  const counts = useMemo(() => {
    const sums = {};
    for (const pod of objects) sums[podStatus(pod).tone] = (sums[podStatus(pod).tone] ?? 0) + 1;
    return sums;
  }, [objects]);
  const shown = TONES.filter(([tone]) => counts[tone]);
  return html`<${Tile} view="pods" number=${objects.length} word=${objects.length === 1 ? 'pod' : 'pods'} loaded=${loaded}>
    <div class="parts">${shown.map(([tone]) => html`<i class="part ${tone}" key=${tone} style=${{ flexGrow: counts[tone] }} />`)}</div>
    <div class="legend">${shown.map(([tone, word]) => html`<${Status} key=${tone} word=${`${counts[tone]} ${word}`} tone=${tone} />`)}</div>
  <//>`;
}

function DeploymentTile() {
  const { objects, loaded } = useItems(deployments);
  const behind = objects.filter((o) => (o.status?.readyReplicas ?? 0) < (o.spec.replicas ?? 1));
  return html`<${Tile} view="workloads" number=${objects.length} word=${objects.length === 1 ? 'deployment' : 'deployments'} loaded=${loaded}>
    ${objects.length > 0 && html`<div class="legend">${behind.length === 0
      ? html`<${Status} word="all are ready" tone="ok" />`
      : html`<${Status} word=${`${behind.length} not ready: ${behind.slice(0, 3).map((o) => o.metadata.name).join(', ')}${behind.length > 3 ? ' …' : ''}`} tone="busy" />`}</div>`}
  <//>`;
}

function ServiceTile() {
  const { objects, loaded } = useItems(services);
  const outside = objects.filter((o) => ['NodePort', 'LoadBalancer'].includes(o.spec.type)).length;
  return html`<${Tile} view="services" number=${objects.length} word=${objects.length === 1 ? 'service' : 'services'} loaded=${loaded}>
    <div class="legend"><span class="dim">${outside} reached from outside</span></div>
  <//>`;
}

function NodeCards() {
  const { items, loaded } = useCollection(nodes);
  const all = [...items.values()];
  return html`<section>
    <h2>${all.length === 1 ? 'Node' : 'Nodes'}</h2>
    ${all.length === 0 && html`<${Empty}>${loaded ? 'No node has registered yet, so no pod can run.' : 'Loading …'}<//>`}
    ${all.map((node) => html`<div class="card node" key=${node.metadata.uid}>
      <div class="card-head">
        <strong><${ObjectLink} plural="nodes" name=${node.metadata.name} /></strong><${Status} ...${nodeStatus(node)} />
        <span class="grow" /><span class="dim">${[node.status?.nodeInfo?.osImage, version.value?.gitVersion].filter(Boolean).join(' · ')}</span>
      </div>
      <${NodeLoad} node=${node} />
    </div>`)}
  </section>`;
}

function Warnings() {
  const { objects, loaded } = useItems(events);
  const warnings = useMemo(() => newestFirst(objects.filter((event) => event.type === 'Warning')), [objects]);
  const shown = warnings.slice(0, WARNINGS);
  return html`<section>
    <h2>Recent warnings <span class="dim">${warnings.length || ''}</span></h2>
    ${shown.length === 0 && html`<${Empty}>${loaded ? 'Nothing has complained in the last hour.' : 'Loading …'}<//>`}
    <div class="events boxed">${shown.map((event) => html`<${EventLine} key=${event.metadata.uid} event=${event} about=${html`<${About} event=${event} />`} />`)}</div>
    ${warnings.length > WARNINGS && html`<p class="more"><a href=${href({ view: 'events', show: '' })}>${plural(warnings.length - WARNINGS, 'more warning')}</a></p>`}
  </section>`;
}

function About({ event }) {
  const { kind, namespace, name } = event.involvedObject ?? {};
  const where = pluralOf(kind);
  return html`${where ? html`<${ObjectLink} plural=${where} ...${{ namespace, name }} />` : name} `;
}

/** An empty cluster says what to do with it. */
function FirstSteps() {
  const { items, loaded } = useCollection(deployments);
  if (!loaded || items.size > 0 || !isServed(deployments)) return null;
  return html`<section>
    <h2>First steps</h2>
    <pre class="steps">kubectl create deployment kubia --image=monopod/kubia --replicas=3
kubectl expose deployment kubia --type=LoadBalancer --port=8080
monopod service kubia</pre>
  </section>`;
}

export default { id: 'overview', title: 'Overview', resources: [], Show: Overview };
