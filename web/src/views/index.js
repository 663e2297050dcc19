// The views, in the order of the menu. To add one: its file, and its line here.

import { served } from '../cluster/discovery.js';
import configmaps from './configmaps.js';
import events from './events.js';
import ingresses from './ingresses.js';
import more from './more.js';
import namespaces from './namespaces.js';
import nodes from './nodes.js';
import overview from './overview.js';
import pods from './pods.js';
import secrets from './secrets.js';
import services from './services.js';
import workloads from './workloads.js';

export const views = [
  overview,
  workloads,
  pods,
  services,
  ingresses,
  configmaps,
  secrets,
  events,
  nodes,
  namespaces,
  more(() => known()),
];

export const viewNamed = (id) => views.find((view) => view.id === id) ?? views[0];

export const known = () => views.flatMap((view) => view.resources);

/** What a panel shows of an object, wherever that stands. */
export const resourceNamed = (plural) =>
  [...known(), ...(served.value?.values() ?? [])].find((resource) => resource.plural === plural);
