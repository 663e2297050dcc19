// Which kinds the API serves: views show those that there are.

import { signal } from '@preact/signals';
import { getJson } from './http.js';
import { idOf } from './paths.js';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** The ids of all resources that there are, `deployments.apps`; `null` until it is known. */
export const served = signal(null);
export const version = signal(null);

export async function discover() {
  const [core, groups, about] = await Promise.all([
    getJson('/api', { accept: AGGREGATED }),
    getJson('/apis', { accept: AGGREGATED }),
    getJson('/version'),
  ]);
  const resources = [core, groups].flatMap((list) =>
    (list.items ?? []).flatMap((group) =>
      (group.versions ?? []).flatMap((v) => (v.resources ?? []).map((r) => idOf({ group: group.metadata?.name, plural: r.resource }))),
    ),
  );
  served.value = new Set(resources);
  version.value = about;
}

export const isServed = (resource) => served.value === null || served.value.has(idOf(resource));
