// The frame around the views: menu, filters, the state of the line, and the panel.

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { discover, served, version } from './cluster/discovery.js';
import { health, useCollection } from './cluster/live.js';
import { KEYS, help, onKey } from './keys.js';
import { backoff } from './lib/backoff.js';
import { html } from './lib/html.js';
import { Guard, Key } from './parts/bits.js';
import { Dialogs } from './parts/dialogs.js';
import { List } from './parts/list.js';
import { Panel } from './parts/panel.js';
import { Toasts } from './parts/toasts.js';
import { go, href, route, toView } from './route.js';
import { viewNamed, views } from './views/index.js';
import { namespaces } from './views/namespaces.js';

const trouble = signal('');

/** Until the API has said what it serves. */
async function discoverInTheEnd(attempt = 0) {
  try {
    await discover();
    trouble.value = '';
  } catch (error) {
    trouble.value = error.message;
    setTimeout(() => discoverInTheEnd(attempt + 1), backoff(attempt));
  }
}

export function App() {
  const view = viewNamed(route.value.view);
  useEffect(() => {
    discoverInTheEnd();
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  useEffect(() => {
    document.title = `${view.title} · monopod`;
  }, [view]);
  const Show = view.Show ?? List;
  return html`
    <div class="app ${route.value.show ? 'with-panel' : ''}">
      <${Menu} view=${view} />
      <div class="main">
        <${Top} view=${view} />
        <${Banner} />
        <main class="content" key=${view.id}><${Guard} of=${view.id}>${served.value && html`<${Show} view=${view} />`}<//></main>
      </div>
      <${Panel} />
    </div>
    <${Dialogs} /><${Help} /><${Toasts} />`;
}

const Menu = ({ view }) => html`<nav class="menu">
  <a class="brand" href=${href(toView('overview'))}><img src="/favicon.svg" alt="" width="20" height="20" /><span>monopod</span></a>
  ${views.map((one, number) => html`<a key=${one.id} class=${one === view ? 'on' : ''} aria-current=${one === view ? 'page' : undefined} href=${href(toView(one.id))}>
    ${one.title}${number < 9 && html`<${Key}>${number + 1}<//>`}
  </a>`)}
  <span class="grow" />
  <span class="version dim">${version.value && `Kubernetes ${version.value.gitVersion}`}</span>
</nav>`;

function Top({ view }) {
  const { q } = route.value;
  return html`<header class="top">
    <h1>${view.title}</h1>
    <${NamespaceChoice} />
    <label class="search">
      <input class="filter" type="search" placeholder="Filter" value=${q} spellcheck=${false} aria-label="Filter"
        onInput=${(event) => go({ q: event.target.value }, { replace: true })} />
      ${!q && html`<${Key}>/<//>`}
    </label>
    <span class="grow" />
    <${Line} />
    <button class="quiet" title="Keys (?)" aria-label="Keys" onClick=${() => (help.value = true)}>?</button>
  </header>`;
}

function NamespaceChoice() {
  const { items } = useCollection(namespaces);
  const { ns } = route.value;
  const names = new Set([...items.values()].map((object) => object.metadata.name));
  if (ns) names.add(ns);
  return html`<select class="namespace" value=${ns} title="Namespace (n)" aria-label="Namespace" onChange=${(event) => go({ ns: event.target.value })}>
    <option value="">All namespaces</option>
    ${[...names].sort().map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
  </select>`;
}

const WORDS = { live: ['live', 'ok'], listing: ['loading', 'busy'], reconnecting: ['reconnecting', 'busy'], ended: ['no session', 'bad'] };

/** Whether what is seen is true now, and if not, why. */
function Line() {
  const { phase, why } = health.value;
  const [word, tone] = WORDS[phase];
  return html`<span class="line-state status ${tone}" role="status" title=${why || 'what you see is what there is'}><i class="dot ${phase}" />${word}</span>`;
}

function Banner() {
  const { phase, why } = health.value;
  const words = phase === 'live' ? '' : why || trouble.value;
  return words && html`<div class="banner ${phase === 'ended' ? 'bad' : ''}" role="alert">${words[0].toUpperCase()}${words.slice(1)}.</div>`;
}

function Help() {
  const element = useRef(null);
  useEffect(() => {
    if (help.value) element.current.showModal();
  }, [help.value]);
  const close = () => (help.value = false);
  return help.value && html`<dialog ref=${element} onClose=${close} onClick=${(event) => event.target === element.current && close()}>
    <form method="dialog">
      <h2>Keys</h2>
      <dl class="pairs keys">${KEYS.map(([keys, words]) => html`<dt>${keys.split(' ').map((one) => (one === '…' ? one : html`<${Key}>${one}<//>`))}</dt><dd>${words}</dd>`)}</dl>
      <footer><button class="primary">Close</button></footer>
    </form>
  </dialog>`;
}
