import { html } from '../lib/html.js';
import { lastSeen, pluralOf, timesSeen } from '../lib/events.js';
import { Age, ObjectLink, Status } from '../parts/bits.js';

const about = ({ involvedObject: { kind = '', name = '' } = {} }) => `${kind.toLowerCase()}/${name}`;

function About({ event }) {
  const { kind, namespace, name } = event.involvedObject ?? {};
  const plural = pluralOf(kind);
  return plural ? html`<${ObjectLink} ...${{ plural, namespace, name }}>${about(event)}<//>` : about(event);
}

const LAST = { title: 'Last', width: '60px', get: (o) => -lastSeen(o), hidden: true, show: (o) => html`<${Age} since=${new Date(lastSeen(o)).toISOString()} />` };

export const events = {
  group: '', version: 'v1', plural: 'events', kind: 'Event', title: 'Events', namespaced: true,
  ownColumns: true,
  order: LAST,
  columns: [
    LAST,
    { title: 'Reason', width: 'minmax(150px, 1fr)', get: (o) => o.reason ?? '', show: (o) => html`<${Status} word=${o.reason} tone=${o.type === 'Warning' ? 'bad' : 'off'} />` },
    { title: 'Object', width: 'minmax(140px, 1.5fr)', get: about, room: 'middle', show: (o) => html`<${About} event=${o} />` },
    { title: 'Message', width: 'minmax(180px, 4fr)', get: (o) => o.message ?? '' },
    { title: 'Times', width: '56px', get: timesSeen, room: 'wide' },
  ],
  summary: (o) => [
    ['Type', o.type], ['Reason', o.reason], ['Object', html`<${About} event=${o} />`], ['Message', o.message],
    ['Times', timesSeen(o)], ['Reported by', o.reportingComponent || o.source?.component],
  ],
};

export default { id: 'events', title: 'Events', resources: [events] };
