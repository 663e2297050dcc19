// The state of objects in a word and a tone: ok, busy, bad, done or off.

/** As kubectl's STATUS column puts it. */
export function podStatus(pod) {
  const word = podWord(pod);
  return { word, tone: podTone(pod, word) };
}

function podWord(pod) {
  const { status = {}, metadata, spec } = pod;
  let word = status.reason || status.phase || 'Unknown';
  const gated = status.conditions?.find((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated');
  if (gated) word = 'SchedulingGated';
  const init = initWord(pod);
  if (init) word = init;
  // a sidecar that has ended with the pod is none that failed to begin
  if (!init || condition(pod, 'Initialized')?.status === 'True') word = containersWord(pod, word);
  if (!metadata.deletionTimestamp) return word;
  return status.reason === 'NodeLost' ? 'Unknown' : ['Failed', 'Succeeded'].includes(status.phase) && spec ? word : 'Terminating';
}

function containersWord(pod, otherwise) {
  const statuses = pod.status?.containerStatuses ?? [];
  let word = otherwise;
  let failure = '';
  for (const { state = {} } of [...statuses].reverse()) {
    word = state.waiting?.reason || terminatedWord(state.terminated) || word;
    if (!state.waiting?.reason && state.terminated?.exitCode) failure = word;
  }
  if (word !== 'Completed') return word;
  const running = statuses.some((c) => c.ready && c.state?.running);
  if (running && isReady(pod)) return 'Running';
  return failure || (running ? 'NotReady' : word);
}

function initWord({ status = {}, spec = {} }) {
  const statuses = status.initContainerStatuses ?? [];
  const sidecars = new Set((spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name));
  for (const [done, { name, state = {}, started }] of statuses.entries()) {
    if (state.terminated?.exitCode === 0 || (sidecars.has(name) && started)) continue;
    if (state.terminated) return `Init:${terminatedWord(state.terminated)}`;
    if (state.waiting?.reason && state.waiting.reason !== 'PodInitializing') return `Init:${state.waiting.reason}`;
    return `Init:${done}/${spec.initContainers?.length ?? statuses.length}`;
  }
  return '';
}

function terminatedWord(state) {
  if (!state) return '';
  return state.reason || (state.signal ? `Signal:${state.signal}` : `ExitCode:${state.exitCode}`);
}

function podTone(pod, word) {
  if (word === 'Running') return isReady(pod) ? 'ok' : 'busy';
  if (word === 'Completed' || word === 'Succeeded') return 'done';
  if (/^(Pending|ContainerCreating|PodInitializing|Terminating|NotReady|SchedulingGated|Init:\d)/.test(word)) {
    return pod.status?.conditions?.some((c) => c.reason === 'Unschedulable') ? 'bad' : 'busy';
  }
  return word === 'Unknown' ? 'off' : 'bad';
}

export const isReady = (object) => condition(object, 'Ready')?.status === 'True';

export const condition = (object, type) => object.status?.conditions?.find((c) => c.type === type);

/** Containers that are ready, of how many, and how often they were restarted. */
export function podCounts(pod) {
  const statuses = pod.status?.containerStatuses ?? [];
  const sidecars = new Set((pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name));
  const side = (pod.status?.initContainerStatuses ?? []).filter((c) => sidecars.has(c.name));
  const all = [...statuses, ...side];
  return {
    ready: all.filter((c) => c.ready).length,
    total: (pod.spec?.containers?.length ?? 0) + sidecars.size,
    restarts: all.reduce((sum, c) => sum + (c.restartCount ?? 0), 0),
  };
}

/** Of so many wanted, so many are there. */
export function replicaStatus(ready = 0, wanted = 0) {
  const word = `${ready}/${wanted}`;
  if (wanted === 0) return { word, tone: 'off' };
  return { word, tone: ready >= wanted ? 'ok' : ready > 0 ? 'busy' : 'bad' };
}

/** As kubectl prints it: `Ready,SchedulingDisabled`. */
export function nodeStatus(node) {
  const ready = condition(node, 'Ready')?.status;
  const words = [ready === 'True' ? 'Ready' : ready === 'False' ? 'NotReady' : 'Unknown'];
  if (node.spec?.unschedulable) words.push('SchedulingDisabled');
  return { word: words.join(','), tone: ready === 'True' ? (words.length > 1 ? 'busy' : 'ok') : 'bad' };
}

// for these conditions it is False that is good
const GOOD_WHEN_FALSE = /Pressure$|Unavailable$|^(Failed|ReplicaFailure|FailureTarget|Stalled)$/;
// and of these neither is good or bad
const TOLD_ONLY = /^Unused$/;

export function conditionTone({ type, status }) {
  if (status === 'Unknown' || TOLD_ONLY.test(type)) return 'off';
  return (status === 'True') !== GOOD_WHEN_FALSE.test(type) ? 'ok' : 'bad';
}
