// One object, whole: beside the table it was chosen from.

import { useEffect, useState } from 'preact/hooks';
import { collection, useCollection } from '../cluster/live.js';
import { labels } from '../lib/format.js';
import { html } from '../lib/html.js';
import { conditionTone } from '../lib/status.js';
import { go, route, shown } from '../route.js';
import { resourceNamed } from '../views/index.js';
import { Age, Chips, Empty, Guard, ObjectLink, Status } from './bits.js';
import { pair } from './containers.js';
import { askDelete, askScale } from './dialogs.js';
import { pluralOf } from '../lib/events.js';
import { Logs } from './logs.js';
import { EventsOf } from './related.js';
import { Source } from './source.js';
import { Shell } from './terminal.js';

/** What can be seen of an object, and the key that leads there. */
const TABS = {
  details: { title: 'Details', key: 'd', Show: Details },
  logs: { title: 'Logs', key: 'l', Show: Logs, whole: true },
  terminal: { title: 'Terminal', key: 't', Show: Shell, whole: true },
  events: { title: 'Events', key: 'e', Show: EventsOf },
  source: { title: 'YAML', key: 'y', Show: Source, whole: true },
};

export const tabsOf = (resource) => ['details', ...(resource.tabs ?? []), 'events', 'source'].map((id) => ({ id, ...TABS[id] }));

export function Panel() {
  const target = shown();
  const resource = target && resourceNamed(target.plural);
  if (!target) return null;
  if (!resource) return html`<aside class="panel"><${Empty}>No view knows ${target.plural}.<//></aside>`;
  return html`<${Guard} of=${route.value.show}><${Open} key=${resource.plural} ...${{ target, resource }} /><//>`;
}

export const close = () => go({ show: '', tab: '' });

/** The object that the panel shows, for what is asked by a key. */
export function shownObject() {
  const target = shown();
  const resource = target && resourceNamed(target.plural);
  const object = resource && find(collection(resource).state.peek().items, target);
  return object ? { resource, object } : null;
}

function find(items, { namespace, name }) {
  for (const object of items.values()) {
    if (object.metadata.name === name && (object.metadata.namespace ?? '') === namespace) return object;
  }
  return null;
}

function Open({ target, resource }) {
  const { items, loaded } = useCollection(resource);
  const found = find(items, target);
  const [last, setLast] = useState(null);
  useEffect(() => setLast((before) => found ?? before), [found]);
  // what has been deleted can still be read, until the panel is closed
  const isLast = !found && last?.metadata.name === target.name && (last.metadata.namespace ?? '') === target.namespace;
  const object = found ?? (isLast ? last : null);
  return html`<aside class="panel" aria-label=${`${resource.kind} ${target.name}`}>
    <header>
      <div class="panel-title">
        <span class="dim">${resource.kind}${target.namespace && html` in ${target.namespace}`}</span>
        <h2 title=${target.name}>${target.name}</h2>
      </div>
      ${found && resource.scalable && html`<button onClick=${() => askScale(resource, found)}>Scale</button>`}
      ${found && html`<button onClick=${() => askDelete(resource, found)}>Delete</button>`}
      <button class="close" onClick=${close} title="Close (Esc)" aria-label="Close">✕</button>
    </header>
    ${isLast && html`<p class="note">It has been deleted. This is the last that was seen of it.</p>`}
    ${object ? html`<${Tabs} ...${{ resource, object }} />` : html`<${Empty}>${loaded ? 'There is no such object any more.' : 'Loading …'}<//>`}
  </aside>`;
}

function Tabs({ resource, object }) {
  const tabs = tabsOf(resource);
  const current = tabs.find((tab) => tab.id === route.value.tab) ?? tabs[0];
  return html`
    <nav class="tabs" role="tablist">
      ${tabs.map((tab) => html`<button role="tab" key=${tab.id} aria-selected=${tab === current} title=${`${tab.title} (${tab.key})`} onClick=${() => go({ tab: tab.id }, { replace: true })}>${tab.title}</button>`)}
    </nav>
    <div class="panel-body ${current.whole ? 'whole' : ''}"><${Guard} of=${current.id}><${current.Show} key=${object.metadata.uid + current.id} ...${{ resource, object }} /><//></div>`;
}

function Details({ resource, object }) {
  const { metadata, status } = object;
  return html`
    <dl class="pairs">
      ${resource.status && pair('Status', html`<${Status} ...${resource.status(object)} />`)}
      ${pair('Created', html`<${Age} since=${metadata.creationTimestamp} /> ago`)}
      ${metadata.deletionTimestamp && pair('Leaving since', html`<${Age} since=${metadata.deletionTimestamp} />`)}
      ${(resource.summary?.(object) ?? []).map(([label, value]) => pair(label, value))}
      ${pair('Belongs to', metadata.ownerReferences?.map((owner) => html`<${Owner} key=${owner.uid} owner=${owner} namespace=${metadata.namespace} />`))}
      ${pair('Labels', html`<${Chips} items=${labels(metadata.labels)} />`)}
    </dl>
    ${status?.conditions?.length > 0 && html`<${Conditions} conditions=${status.conditions} />`}
    ${resource.sections?.(object)}
    ${metadata.annotations && html`<${Annotations} of=${metadata.annotations} />`}`;
}

function Owner({ owner: { kind, name }, namespace }) {
  const plural = pluralOf(kind);
  return html`<span>${kind} ${plural ? html`<${ObjectLink} ...${{ plural, namespace: plural === 'nodes' ? '' : namespace, name }} />` : name} </span>`;
}

const Conditions = ({ conditions }) => html`<section>
  <h3>Conditions</h3>
  <div class="lines conditions">${conditions.map((one) => html`<div class="line" key=${one.type}>
    <${Status} word=${one.type} tone=${conditionTone(one)} />
    <span>${one.status}${one.reason && html` <span class="dim">${one.reason}</span>`}${one.message && html`<div class="dim">${one.message}</div>`}</span>
    <span class="dim"><${Age} since=${one.lastTransitionTime ?? one.lastUpdateTime} /></span>
  </div>`)}</div>
</section>`;

const Annotations = ({ of }) => html`<details>
  <summary>Annotations <span class="dim">${Object.keys(of).length}</span></summary>
  <dl class="pairs stacked">${Object.entries(of).map(([key, value]) => html`<dt key=${key}>${key}</dt><dd><code>${value}</code></dd>`)}</dl>
</details>`;
