// Which objects are shown, and in which order.

/** What a user can find an object by: its name, namespace, labels, and the text of its cells. */
function haystack(object, cells) {
  const { name, namespace = '', labels = {} } = object.metadata;
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return [name, namespace, ...pairs, ...cells].join('\n').toLowerCase();
}

/** Every word must occur; `-word` must not. */
export function matches(object, query, cells = []) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = haystack(object, cells);
  return words.every((word) => (word.length > 1 && word.startsWith('-') ? !text.includes(word.slice(1)) : text.includes(word)));
}

export const inNamespace = (object, namespace) =>
  !namespace || !object.metadata.namespace || object.metadata.namespace === namespace;

const natural = new Intl.Collator('en', { numeric: true });

/** Numbers by size, words with their numbers by size (`pod-2` before `pod-10`), what is missing last. */
export function compare(a, b) {
  const [none, nothing] = [a ?? '', b ?? ''].map((value) => value === '');
  if (none || nothing) return Number(none) - Number(nothing);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return natural.compare(String(a), String(b));
}

export function sorted(objects, by, descending = false) {
  const keyed = objects.map((object) => [by(object), object.metadata.namespace, object.metadata.name, object]);
  const sign = descending ? -1 : 1;
  keyed.sort((a, b) => sign * compare(a[0], b[0]) || compare(a[1], b[1]) || compare(a[2], b[2]));
  return keyed.map((entry) => entry[3]);
}
