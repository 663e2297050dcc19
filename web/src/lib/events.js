// What events say of when, how often, and of whom.

export const lastSeen = (event) =>
  Date.parse(event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp) || 0;

export const timesSeen = (event) => event.series?.count ?? event.count ?? 1;

const PLURALS = {
  ConfigMap: 'configmaps', CronJob: 'cronjobs', DaemonSet: 'daemonsets', Deployment: 'deployments', Job: 'jobs', Namespace: 'namespaces', Node: 'nodes',
  Pod: 'pods', ReplicaSet: 'replicasets', ReplicationController: 'replicationcontrollers', Secret: 'secrets', Service: 'services', StatefulSet: 'statefulsets',
};

/** Under which name a panel knows the kind, or nothing. */
export const pluralOf = (kind) => PLURALS[kind];

/** Newest first. */
export const newestFirst = (events) => [...events].sort((a, b) => lastSeen(b) - lastSeen(a));
