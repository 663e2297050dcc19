// What a list and the watch events after it add up to. Pure: the same for a page and for a test.

export const EMPTY = { items: new Map(), revision: '' };

export const keyOf = (object) =>
  object.metadata.uid ?? `${object.metadata.namespace ?? ''}/${object.metadata.name}`;

/** A list's items have no kind of their own: they get the list's. */
export function fromList(list) {
  const kind = list.kind?.replace(/List$/, '');
  const typed = (list.items ?? []).map((item) => ({ kind, apiVersion: list.apiVersion, ...item }));
  return { items: new Map(typed.map((item) => [keyOf(item), item])), revision: list.metadata?.resourceVersion ?? '' };
}

/** The pages of one list, which are all of one revision. */
export function fromPages(pages) {
  const parts = pages.map(fromList);
  return { items: new Map(parts.flatMap((part) => [...part.items])), revision: parts[0]?.revision ?? '' };
}

/**
 * The state after `events`; the one before is not touched. A deletion may be told twice, and an event of an object may
 * be older than what is known of it: after a reconnect a server may repeat itself.
 */
export function apply(state, events) {
  if (events.length === 0) return state;
  const items = new Map(state.items);
  let { revision } = state;
  for (const { type, object } of events) {
    if (type === 'ADDED' || type === 'MODIFIED') items.set(keyOf(object), object);
    else if (type === 'DELETED') items.delete(keyOf(object));
    else if (type !== 'BOOKMARK') continue;
    revision = object.metadata?.resourceVersion ?? revision;
  }
  return { items, revision };
}

/** An `ERROR` event ends a watch; this says whether a new list is needed to go on. */
export const isExpired = (status) => status?.code === 410 || status?.reason === 'Expired' || status?.reason === 'Gone';
