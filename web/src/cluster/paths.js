// Where the API keeps what. A resource is `{ group, version, plural, namespaced, … }` as a view describes it.

const root = ({ group, version }) => (group ? `/apis/${group}/${version}` : `/api/${version}`);

export const idOf = ({ group, plural }) => (group ? `${plural}.${group}` : plural);

export const collectionPath = (resource) => `${root(resource)}/${resource.plural}`;

export function objectPath(resource, { namespace, name }, part = '') {
  const place = namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root(resource)}${place}/${resource.plural}/${encodeURIComponent(name)}${part && `/${part}`}`;
}

export function withQuery(path, parameters) {
  const pairs = Object.entries(parameters).flatMap(([key, value]) => [value].flat().map((one) => [key, one]));
  const given = pairs.filter(([, value]) => value !== undefined && value !== '' && value !== false);
  return given.length ? `${path}?${new URLSearchParams(given.map(([k, v]) => [k, String(v)]))}` : path;
}

export const socketUrl = (path) => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`;
