// The containers of a pod, or of a template that pods are made from.

import { plural } from '../lib/format.js';
import { html } from '../lib/html.js';
import { Age, Status } from './bits.js';

export function Containers({ pod }) {
  const init = pod.spec.initContainers ?? [];
  return html`<section>
    <h3>Containers</h3>
    ${init.map((container) => html`<${Container} key=${container.name} container=${container} status=${pod.status?.initContainerStatuses?.find(named(container))} note="init" />`)}
    ${pod.spec.containers.map((container) => html`<${Container} key=${container.name} container=${container} status=${pod.status?.containerStatuses?.find(named(container))} />`)}
  </section>`;
}

const named = ({ name }) => (status) => status.name === name;

export const Template = ({ template }) =>
  template?.spec && html`<section><h3>Pod template</h3>${template.spec.containers.map((container) => html`<${Container} key=${container.name} container=${container} />`)}</section>`;

function Container({ container, status, note }) {
  const last = status?.lastState?.terminated;
  return html`<div class="card">
    <div class="card-head">
      <strong>${container.name}</strong>${note && html`<span class="dim">${note}</span>`}
      ${status && html`<${State} state=${status.state ?? {}} ready=${status.ready} />`}
    </div>
    <dl class="pairs tight">
      ${pair('Image', html`<code>${container.image}</code>`)}
      ${pair('Command', [...(container.command ?? []), ...(container.args ?? [])].join(' '))}
      ${pair('Ports', (container.ports ?? []).map((p) => `${p.containerPort}/${p.protocol ?? 'TCP'}${p.name ? ` ${p.name}` : ''}`).join(', '))}
      ${pair('Requests', amounts(container.resources?.requests))}
      ${pair('Limits', amounts(container.resources?.limits))}
      ${pair('Why', status?.state?.waiting?.message ?? status?.state?.terminated?.message)}
      ${status?.restartCount > 0 && pair('Restarts', html`${status.restartCount}${last && html`, last ended ${reason(last)} <${Age} since=${last.finishedAt} /> ago`}`)}
      ${pair('Environment', container.env?.length && plural(container.env.length, 'variable'))}
      ${pair('Mounts', (container.volumeMounts ?? []).map((m) => m.mountPath).join(', '))}
    </dl>
  </div>`;
}

export const pair = (label, value) => (value || value === 0) && html`<dt>${label}</dt><dd>${value}</dd>`;

const amounts = (resources) => Object.entries(resources ?? {}).map(([name, amount]) => `${name} ${amount}`).join(', ');

const reason = (terminated) => `with ${terminated.reason ?? 'exit code'} (${terminated.exitCode})`;

function State({ state, ready }) {
  if (state.running) return html`<${Status} word=${ready ? 'running' : 'running, not ready'} tone=${ready ? 'ok' : 'busy'} /><span class="dim">for <${Age} since=${state.running.startedAt} /></span>`;
  if (state.terminated) return html`<${Status} word=${`ended ${reason(state.terminated)}`} tone=${state.terminated.exitCode === 0 ? 'done' : 'bad'} />`;
  const word = state.waiting?.reason ?? 'waiting';
  return html`<${Status} word=${word} tone=${/Err|BackOff|Invalid|Never/.test(word) ? 'bad' : 'busy'} />`;
}
