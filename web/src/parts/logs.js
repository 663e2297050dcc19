// A container's log, followed.

import { useEffect, useRef, useState } from 'preact/hooks';
import { followLog } from '../cluster/logs.js';
import { html } from '../lib/html.js';
import { ContainerChoice, useContainer } from './container-choice.js';

const PIECES = 400; // kept in the page; older ones are dropped
const NEAR_END = 40;

export function Logs({ object: pod }) {
  const [container, setContainer] = useContainer(pod);
  const [previous, setPrevious] = useState(false);
  const [timestamps, setTimestamps] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [state, setState] = useState('');
  const [round, setRound] = useState(0);
  const box = useRef(null);
  const { uid } = pod.metadata;

  useEffect(() => {
    const abort = new AbortController();
    const page = new Page(box.current);
    setState('connecting …');
    const where = { namespace: pod.metadata.namespace, name: pod.metadata.name };
    followLog(where, { container, previous, timestamps }, (text) => {
      setState('');
      page.write(text);
    }, abort.signal).then(
      () => setState(previous ? '' : 'The log has ended.'),
      (error) => abort.signal.aborted || setState(error.message),
    );
    return () => abort.abort();
  }, [uid, container, previous, timestamps, round]);

  return html`<div class="tool">
    <div class="bar">
      <${ContainerChoice} pod=${pod} container=${container} choose=${setContainer} />
      <label><input type="checkbox" checked=${previous} onChange=${() => setPrevious(!previous)} /> previous</label>
      <label><input type="checkbox" checked=${timestamps} onChange=${() => setTimestamps(!timestamps)} /> times</label>
      <label><input type="checkbox" checked=${wrap} onChange=${() => setWrap(!wrap)} /> wrap</label>
      <span class="grow" />
      <span class="dim ellipsis" title=${state}>${state}</span>
      <button class="quiet" onClick=${() => setRound(round + 1)}>Reload</button>
    </div>
    <pre class="log ${wrap ? 'wrap' : ''}" ref=${box} tabindex="0" />
  </div>`;
}

/** Text is put into the element by hand, once a frame: a log of any speed costs the page one append. */
class Page {
  constructor(element) {
    this.element = element;
    this.element.textContent = '';
    this.waiting = '';
    this.planned = false;
  }

  write(text) {
    this.waiting += text;
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => this.flush());
  }

  flush() {
    const { element } = this;
    const follows = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
    element.append(this.waiting);
    this.waiting = '';
    this.planned = false;
    while (element.childNodes.length > PIECES) element.firstChild.remove();
    if (follows) element.scrollTop = element.scrollHeight;
  }
}
