import { html } from '../lib/html.js';
import { addressOf, hostsOf, pathsOf } from '../lib/ingresses.js';

/** A link to a name that a browser can ask for; a wildcard stands for many. */
const link = ({ url, text }) =>
  url ? html`<a class="out" href=${url} target="_blank" rel="noreferrer noopener">${text}</a>` : html`<code>${text}</code>`;

export const ingresses = {
  group: 'networking.k8s.io', version: 'v1', plural: 'ingresses', kind: 'Ingress', title: 'Ingresses', namespaced: true,
  columns: [
    { title: 'Class', width: '104px', get: (o) => o.spec.ingressClassName ?? '', room: 'middle' },
    { title: 'Hosts', width: 'minmax(140px, 1.6fr)', get: (o) => hostsOf(o).map((host) => host.text).join(', '), mono: true },
    { title: 'Address', width: 'minmax(108px, 1fr)', get: addressOf, mono: true },
  ],
  summary: (o) => [
    ['Class', o.spec.ingressClassName],
    ['Hosts', hostsOf(o).map((host) => html`<div>${link(host)}</div>`)],
    ['Address', addressOf(o) && html`<code>${addressOf(o)}</code>`],
    ['Paths', pathsOf(o).map(({ from, to }) => html`<div><code>${from}</code> → <code>${to}</code></div>`)],
    ['Certificates', (o.spec.tls ?? []).map((tls) => tls.secretName).filter(Boolean).join(', ')],
  ],
};

export default { id: 'ingresses', title: 'Ingresses', resources: [ingresses] };
