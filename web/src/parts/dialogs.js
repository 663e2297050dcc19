// What is asked before something is changed.

import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { mergePatch, remove } from '../cluster/http.js';
import { objectPath } from '../cluster/paths.js';
import { html } from '../lib/html.js';
import { toast } from './toasts.js';

const asked = signal(null);

export const askDelete = (resource, object) => (asked.value = { Form: Delete, resource, object });
export const askScale = (resource, object) => (asked.value = { Form: Scale, resource, object });

export function Dialogs() {
  const element = useRef(null);
  const current = asked.value;
  useEffect(() => {
    if (current && !element.current.open) element.current.showModal();
  }, [current]);
  if (!current) return null;
  const close = () => (asked.value = null);
  return html`<dialog ref=${element} onClose=${close} onClick=${(event) => event.target === element.current && close()}>
    <${current.Form} ...${current} close=${close} />
  </dialog>`;
}

/** Does it once, says how it went, and stays open where it failed. */
function useDeed(deed, done, close) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await deed();
      toast(done);
      close();
    } catch (refusal) {
      setError(refusal.message);
      setBusy(false);
    }
  };
  return { busy, error, submit };
}

function Delete({ resource, object, close }) {
  const { name, namespace, uid } = object.metadata;
  const deed = () => remove(objectPath(resource, object.metadata), { propagationPolicy: 'Background', preconditions: { uid } });
  const { busy, error, submit } = useDeed(deed, `${resource.kind} ${name} is being deleted`, close);
  return html`<form onSubmit=${submit}>
    <h2>Delete ${name}?</h2>
    <p class="dim">${resource.kind}${namespace && ` in ${namespace}`}. ${resource.warning ?? (resource.scalable ? 'Its pods are deleted as well.' : '')} There is no way back.</p>
    ${error && html`<p class="error">${error}</p>`}
    <footer><button type="button" onClick=${close} autofocus>Cancel</button><button class="danger" disabled=${busy}>Delete</button></footer>
  </form>`;
}

function Scale({ resource, object, close }) {
  const { name } = object.metadata;
  const [count, setCount] = useState(object.spec.replicas ?? 1);
  const deed = () => mergePatch(objectPath(resource, object.metadata, 'scale'), { spec: { replicas: count } });
  const { busy, error, submit } = useDeed(deed, `${name} scales to ${count}`, close);
  const step = (by) => setCount(Math.max(0, count + by));
  return html`<form onSubmit=${submit}>
    <h2>Scale ${name}</h2>
    <p class="dim">${resource.kind} with ${object.spec.replicas ?? 1} now, ${object.status?.readyReplicas ?? 0} of them ready.</p>
    <div class="stepper">
      <button type="button" onClick=${() => step(-1)} aria-label="fewer">−</button>
      <input type="number" min="0" max="10000" value=${count} onInput=${(e) => setCount(Math.max(0, Math.floor(Number(e.target.value))))} autofocus aria-label="replicas" />
      <button type="button" onClick=${() => step(1)} aria-label="more">+</button>
    </div>
    ${error && html`<p class="error">${error}</p>`}
    <footer><button type="button" onClick=${close}>Cancel</button><button class="primary" disabled=${busy}>Scale</button></footer>
  </form>`;
}
