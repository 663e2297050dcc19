/** Between a Deployment and its pods: who shows one of these follows them as well. */
export const replicaSets = { group: 'apps', version: 'v1', plural: 'replicasets', kind: 'ReplicaSet', title: 'ReplicaSets', namespaced: true };
