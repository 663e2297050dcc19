// What is looked at stands in the address: `#/pods?ns=default&q=web&show=pods/default/web-1&tab=logs`.

import { signal } from '@preact/signals';

const EMPTY = { view: 'overview', ns: '', q: '', show: '', tab: '', kind: '' };

/** To a view, as it is first seen; the namespace stays. */
export const toView = (view) => ({ ...EMPTY, view, ns: route.peek().ns });

export const route = signal(read());

addEventListener('hashchange', () => {
  route.value = read();
});

function read() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { ...EMPTY, ...Object.fromEntries(new URLSearchParams(query)), view: path || EMPTY.view };
}

/** Where `change` leads from here. Does not follow the route: a thousand rows would be drawn for each letter that is typed. */
export function href(change) {
  const { view, ...rest } = { ...route.peek(), ...change };
  const given = Object.entries(rest).filter(([, value]) => value);
  const query = new URLSearchParams(given).toString().replaceAll('%2F', '/');
  return `#/${view}${query && `?${query}`}`;
}

/** `replace` for what is typed, so that going back skips it. */
export function go(change, { replace = false } = {}) {
  const target = href(change);
  if (target === location.hash) return;
  if (replace) history.replaceState(null, '', target);
  else history.pushState(null, '', target);
  route.value = read();
}

export const showing = (resource, object) =>
  [resource.plural, object.metadata.namespace ?? '', object.metadata.name].join('/');

export function shown() {
  const [plural, namespace, name] = route.value.show.split('/');
  return name ? { plural, namespace, name } : null;
}
