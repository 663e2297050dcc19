// Objects that belong to the one that is shown.

import { endpointSlices, isAnswering, serviceOf } from '../cluster/endpoint-slices.js';
import { useCollection } from '../cluster/live.js';
import { replicaSets } from '../cluster/replica-sets.js';
import { newestFirst, timesSeen, lastSeen } from '../lib/events.js';
import { sorted } from '../lib/filter.js';
import { html } from '../lib/html.js';
import { podStatus, replicaStatus } from '../lib/status.js';
import { events } from '../views/events.js';
import { pods } from '../views/pods.js';
import { Age, Empty, ObjectLink, Status } from './bits.js';

const MOST = 200; // a panel is no table

const isOwnedBy = (owner) => (object) => object.metadata.ownerReferences?.some((reference) => reference.uid === owner.metadata.uid);

function Lines({ title, resource, objects, status, empty }) {
  const shown = sorted(objects, (object) => object.metadata.name);
  return html`<section>
    <h3>${title} <span class="dim">${shown.length || ''}</span></h3>
    ${shown.length === 0 && html`<${Empty}>${empty}<//>`}
    <div class="lines">${shown.slice(0, MOST).map((object) => html`<div class="line" key=${object.metadata.uid}>
      <${ObjectLink} plural=${resource.plural} namespace=${object.metadata.namespace} name=${object.metadata.name} />
      <${Status} ...${status(object)} />
      <span class="dim"><${Age} since=${object.metadata.creationTimestamp} /></span>
    </div>`)}</div>
    ${shown.length > MOST && html`<${Empty}>and ${shown.length - MOST} more<//>`}
  </section>`;
}

/** Its pods, or those of what it owns. */
export function OwnedPods({ owner }) {
  const sets = [...useCollection(replicaSets).items.values()].filter(isOwnedBy(owner));
  const owners = new Set([owner, ...sets].map((object) => object.metadata.uid));
  const { items } = useCollection(pods);
  const objects = [...items.values()].filter((pod) => pod.metadata.ownerReferences?.some((reference) => owners.has(reference.uid)));
  return html`<${Lines} title="Pods" resource=${pods} objects=${objects} status=${podStatus} empty="It has no pods." />`;
}

const ofSet = (set) => replicaStatus(set.status?.readyReplicas, set.spec.replicas);

export function OwnedReplicaSets({ owner }) {
  const objects = [...useCollection(replicaSets).items.values()].filter(isOwnedBy(owner));
  return html`<${Lines} title="ReplicaSets" resource=${replicaSets} objects=${objects} status=${ofSet} empty="It has no ReplicaSets yet." />`;
}

export function PodsOnNode({ node }) {
  const { items } = useCollection(pods);
  const objects = [...items.values()].filter((pod) => pod.spec.nodeName === node.metadata.name);
  return html`<${Lines} title="Pods here" resource=${pods} objects=${objects} status=${podStatus} empty="No pods run here." />`;
}

export function Endpoints({ service }) {
  const name = `${service.metadata.namespace}/${service.metadata.name}`;
  const slices = [...useCollection(endpointSlices).items.values()].filter((slice) => serviceOf(slice) === name);
  const endpoints = slices.flatMap((slice) => (slice.endpoints ?? []).map((endpoint) => ({ endpoint, ports: slice.ports ?? [] })));
  return html`<section>
    <h3>Endpoints <span class="dim">${endpoints.length || ''}</span></h3>
    ${endpoints.length === 0 && html`<${Empty}>Nobody answers: no ready pod has the labels of the selector.<//>`}
    <div class="lines endpoints">${endpoints.map(({ endpoint, ports }) => html`<div class="line" key=${endpoint.addresses[0]}>
      <code>${endpoint.addresses[0]}${ports.length ? `:${ports.map((p) => p.port).join(',')}` : ''}</code>
      ${endpoint.targetRef ? html`<${ObjectLink} plural="pods" namespace=${endpoint.targetRef.namespace} name=${endpoint.targetRef.name} />` : html`<span />`}
      <${Status} word=${isAnswering(endpoint) ? 'ready' : 'not ready'} tone=${isAnswering(endpoint) ? 'ok' : 'busy'} />
    </div>`)}</div>
  </section>`;
}

export function EventsOf({ object }) {
  const { items, loaded } = useCollection(events);
  const isAbout = ({ involvedObject: about = {} }) => (about.uid ? about.uid === object.metadata.uid : about.kind === object.kind && about.name === object.metadata.name);
  const mine = newestFirst([...items.values()].filter(isAbout));
  if (mine.length === 0) return html`<${Empty}>${loaded ? 'No events in the last hour.' : 'Loading …'}<//>`;
  return html`<div class="events">${mine.map((event) => html`<${EventLine} key=${event.metadata.uid} event=${event} />`)}</div>`;
}

export const EventLine = ({ event, about }) => html`<div class="event">
  <span class="dim when"><${Age} since=${new Date(lastSeen(event)).toISOString()} /></span>
  <${Status} word=${event.reason} tone=${event.type === 'Warning' ? 'bad' : 'off'} />
  <span class="message">${about}${event.message}${timesSeen(event) > 1 && html` <span class="dim">×${timesSeen(event)}</span>`}</span>
</div>`;
