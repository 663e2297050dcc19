/** Who answers for a service. They have no view of their own. */
export const endpointSlices = { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices', kind: 'EndpointSlice', title: 'EndpointSlices', namespaced: true, columns: [] };

export const serviceOf = ({ metadata }) => `${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name']}`;

export const isAnswering = (endpoint) => endpoint.conditions?.ready !== false;
