import { replicaSets as resource } from '../cluster/replica-sets.js';
import { html } from '../lib/html.js';
import { labels } from '../lib/format.js';
import { replicaStatus } from '../lib/status.js';
import { Chips, ObjectLink, Status } from '../parts/bits.js';
import { Template } from '../parts/containers.js';
import { OwnedPods, OwnedReplicaSets } from '../parts/related.js';

const images = (template) => [...new Set((template?.spec?.containers ?? []).map((c) => c.image))].join(', ');
const count = (title, get, room = 'middle') => ({ title, width: '82px', get, room });
const imageColumn = { title: 'Images', width: 'minmax(120px, 2fr)', get: (o) => images(o.spec.template), mono: true, room: 'wide' };

function readyColumn(status) {
  const amount = (o) => status(o).word;
  return { title: 'Ready', width: '92px', get: amount, show: (o) => html`<${Status} ...${status(o)} />` };
}

const ofReplicas = (o) => replicaStatus(o.status?.readyReplicas, o.spec.replicas ?? 1);
const ownerOf = (o) => o.metadata.ownerReferences?.find((owner) => owner.controller)?.name ?? '';
const selector = (o) => ['Selector', html`<${Chips} items=${labels(o.spec.selector?.matchLabels ?? o.spec.selector)} />`];
const replicas = (o) => ['Replicas', `${o.spec.replicas ?? 1} wanted, ${o.status?.replicas ?? 0} there, ${o.status?.readyReplicas ?? 0} ready`];
const podsOf = (o) => html`<${OwnedPods} owner=${o} /><${Template} template=${o.spec.template} />`;

function rollout({ spec }) {
  if (spec.strategy?.type !== 'RollingUpdate') return spec.strategy?.type;
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy.rollingUpdate ?? {};
  return `RollingUpdate, ${maxSurge} more and ${maxUnavailable} fewer at a time`;
}

const apps = (plural, kind, rest) => ({ group: 'apps', version: 'v1', plural, kind, title: `${kind}s`, namespaced: true, ...rest });
const batch = (plural, kind, rest) => ({ group: 'batch', version: 'v1', plural, kind, title: `${kind}s`, namespaced: true, ...rest });

export const deployments = apps('deployments', 'Deployment', {
  status: ofReplicas,
  scalable: true,
  columns: [
    readyColumn(ofReplicas),
    count('Up to date', (o) => o.status?.updatedReplicas ?? 0),
    count('Available', (o) => o.status?.availableReplicas ?? 0, 'wide'),
    imageColumn,
  ],
  summary: (o) => [replicas(o), ['Rollout', rollout(o)], ['Revision', o.metadata.annotations?.['deployment.kubernetes.io/revision']], selector(o)],
  sections: (o) => html`<${OwnedReplicaSets} owner=${o} />${podsOf(o)}`,
});

const replicaSets = {
  ...resource,
  status: ofReplicas,
  scalable: true,
  columns: [readyColumn(ofReplicas), { title: 'Owner', width: 'minmax(90px, 1fr)', get: ownerOf, room: 'middle' }, imageColumn],
  summary: (o) => [
    replicas(o),
    ['Owner', ownerOf(o) && html`<${ObjectLink} plural="deployments" namespace=${o.metadata.namespace} name=${ownerOf(o)} />`],
    ['Revision', o.metadata.annotations?.['deployment.kubernetes.io/revision']],
    selector(o),
  ],
  sections: podsOf,
};

const replicationControllers = {
  group: '', version: 'v1', plural: 'replicationcontrollers', kind: 'ReplicationController', title: 'ReplicationControllers', namespaced: true,
  status: ofReplicas,
  scalable: true,
  columns: [readyColumn(ofReplicas), imageColumn],
  summary: (o) => [replicas(o), selector(o)],
  sections: podsOf,
};

const statefulSets = apps('statefulsets', 'StatefulSet', {
  status: ofReplicas,
  scalable: true,
  columns: [readyColumn(ofReplicas), imageColumn],
  summary: (o) => [replicas(o), ['Service', o.spec.serviceName], selector(o)],
  sections: podsOf,
});

const ofNodes = (o) => replicaStatus(o.status?.numberReady, o.status?.desiredNumberScheduled);

const daemonSets = apps('daemonsets', 'DaemonSet', {
  status: ofNodes,
  columns: [readyColumn(ofNodes), count('Up to date', (o) => o.status?.updatedNumberScheduled ?? 0), imageColumn],
  summary: (o) => [selector(o)],
  sections: podsOf,
});

function ofJob({ status = {}, spec }) {
  const word = `${status.succeeded ?? 0}/${spec.completions ?? 1}`;
  if (status.conditions?.some((c) => c.type === 'Failed' && c.status === 'True')) return { word, tone: 'bad' };
  return { word, tone: status.completionTime ? 'done' : 'busy' };
}

const jobs = batch('jobs', 'Job', {
  status: ofJob,
  columns: [{ ...readyColumn(ofJob), title: 'Done' }, { title: 'Owner', width: 'minmax(90px, 1fr)', get: ownerOf, room: 'wide' }, imageColumn],
  summary: (o) => [['Done', ofJob(o).word], ['At a time', o.spec.parallelism], ['Failed', o.status?.failed]],
  sections: podsOf,
});

const cronJobs = batch('cronjobs', 'CronJob', {
  columns: [{ title: 'Schedule', width: '120px', get: (o) => o.spec.schedule, mono: true }, count('Active', (o) => o.status?.active?.length ?? 0)],
  summary: (o) => [['Schedule', o.spec.schedule], ['Suspended', o.spec.suspend ? 'yes' : 'no'], ['Last run', o.status?.lastScheduleTime]],
  sections: (o) => html`<${Template} template=${o.spec.jobTemplate?.spec?.template} />`,
});

export default {
  id: 'workloads',
  title: 'Workloads',
  resources: [deployments, statefulSets, daemonSets, jobs, cronJobs, replicaSets, replicationControllers],
};
