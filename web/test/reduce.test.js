import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY, apply, fromList, fromPages, isExpired } from '../src/lib/reduce.js';

const pod = (name, revision, more = {}) => ({ kind: 'Pod', metadata: { uid: `u-${name}`, name, resourceVersion: String(revision) }, ...more });
const names = (state) => [...state.items.values()].map((object) => `${object.metadata.name}@${object.metadata.resourceVersion}`);

test('a list gives its items their kind', () => {
  const state = fromList({ kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '7' }, items: [{ metadata: { uid: '1', name: 'a', resourceVersion: '3' } }] });
  assert.equal(state.revision, '7');
  assert.deepEqual({ kind: state.items.get('1').kind, apiVersion: state.items.get('1').apiVersion }, { kind: 'Pod', apiVersion: 'v1' });
});

test('pages of one list are one state', () => {
  const page = (name) => ({ kind: 'PodList', metadata: { resourceVersion: '9', continue: 'x' }, items: [pod(name, 1)] });
  const state = fromPages([page('a'), page('b')]);
  assert.deepEqual([names(state), state.revision], [['a@1', 'b@1'], '9']);
});

test('events add up, in order, and leave the state before alone', () => {
  const before = apply(EMPTY, [{ type: 'ADDED', object: pod('a', 1) }, { type: 'ADDED', object: pod('b', 2) }]);
  const after = apply(before, [
    { type: 'MODIFIED', object: pod('a', 3) },
    { type: 'DELETED', object: pod('b', 4) },
    { type: 'DELETED', object: pod('b', 4) },
    { type: 'ADDED', object: pod('c', 5) },
    { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } },
  ]);
  assert.deepEqual([names(before), before.revision], [['a@1', 'b@2'], '2']);
  assert.deepEqual([names(after), after.revision], [['a@3', 'c@5'], '9']);
});

test('a replayed watch equals the list', () => {
  const events = [1, 2, 3, 4, 5, 6].map((i) => ({ type: i % 3 ? 'ADDED' : 'DELETED', object: pod(`p${i % 2}`, i) }));
  const atOnce = apply(EMPTY, events);
  const oneByOne = events.reduce((state, event) => apply(state, [event]), EMPTY);
  assert.deepEqual(names(atOnce), names(oneByOne));
});

test('an object that is made again under its name is another one', () => {
  const again = { ...pod('a', 5), metadata: { uid: 'other', name: 'a', resourceVersion: '5' } };
  const state = apply(EMPTY, [{ type: 'ADDED', object: pod('a', 1) }, { type: 'DELETED', object: pod('a', 4) }, { type: 'ADDED', object: again }]);
  assert.deepEqual([...state.items.keys()], ['other']);
});

test('nothing new is the same state', () => {
  assert.equal(apply(EMPTY, []), EMPTY);
});

test('only a 410 asks for a new list', () => {
  assert.ok(isExpired({ code: 410 }));
  assert.ok(isExpired({ reason: 'Expired' }));
  assert.ok(!isExpired({ code: 403, reason: 'Forbidden' }));
  assert.ok(!isExpired(undefined));
});
