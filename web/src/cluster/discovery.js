// Which kinds the API serves: views show those that there are.

import { signal } from '@preact/signals';
import { getJson } from './http.js';
import { idOf } from './paths.js';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** All resources that there are, by their ids, `deployments.apps`; `null` until it is known. */
export const served = signal(null);
export const version = signal(null);

export async function discover() {
  const [core, groups, about] = await Promise.all([
    getJson('/api', { accept: AGGREGATED }),
    getJson('/apis', { accept: AGGREGATED }),
    getJson('/version'),
  ]);
  const resources = [core, groups].flatMap((list) => (list.items ?? []).flatMap(resourcesOf));
  // the preferred version comes first
  served.value = new Map(resources.reverse().map((resource) => [idOf(resource), resource]));
  version.value = about;
}

const resourcesOf = ({ metadata, versions = [] }) =>
  versions.flatMap(({ version, resources = [] }) => resources.map(({ resource, responseKind, scope, verbs = [] }) => ({
    group: metadata?.name ?? '', version, plural: resource, kind: responseKind?.kind ?? resource, title: responseKind?.kind ?? resource,
    namespaced: scope === 'Namespaced', followed: verbs.includes('list') && verbs.includes('watch'), columns: [],
  })));

export const isServed = (resource) => served.value === null || served.value.has(idOf(resource));
