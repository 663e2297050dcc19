// Which container of a pod is meant.

import { useState } from 'preact/hooks';
import { html } from '../lib/html.js';

const DEFAULT = 'kubectl.kubernetes.io/default-container';

/** The one that kubectl would take, until another is chosen. */
export function useContainer(pod) {
  const [chosen, choose] = useState('');
  const names = namesOf(pod);
  const usual = pod.metadata.annotations?.[DEFAULT];
  const fallback = names.includes(usual) ? usual : pod.spec.containers[0].name;
  return [names.includes(chosen) ? chosen : fallback, choose];
}

const namesOf = ({ spec }) => [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])].map((c) => c.name);

export function ContainerChoice({ pod, container, choose }) {
  const names = namesOf(pod);
  if (names.length === 1) return html`<span class="dim">${container}</span>`;
  return html`<select value=${container} onChange=${(event) => choose(event.target.value)} aria-label="container">
    ${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
  </select>`;
}
