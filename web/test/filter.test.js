import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, inNamespace, matches, sorted } from '../src/lib/filter.js';

const pod = (name, namespace = 'default', labels = {}) => ({ metadata: { name, namespace, labels } });

test('every word must occur somewhere', () => {
  const web = pod('web-1', 'shop', { app: 'web', tier: 'front' });
  const cases = [
    ['', true], ['  ', true], ['WEB', true], ['web shop', true], ['app=web', true], ['tier front', true], ['10.0.0.7', true],
    ['web nope', false], ['-web', false], ['web -front', false], ['web -back', true], ['-', true],
  ];
  for (const [query, want] of cases) assert.equal(matches(web, query, ['Running', '10.0.0.7']), want, JSON.stringify(query));
});

test('what has no namespace is in all of them', () => {
  assert.ok(inNamespace(pod('a', 'shop'), 'shop'));
  assert.ok(!inNamespace(pod('a', 'shop'), 'default'));
  assert.ok(inNamespace({ metadata: { name: 'node' } }, 'shop'));
  assert.ok(inNamespace(pod('a', 'shop'), ''));
});

test('numbers by size, names by the numbers in them, what is missing last', () => {
  const order = (values) => [...values].sort(compare);
  assert.deepEqual(order([10, 9, 100]), [9, 10, 100]);
  assert.deepEqual(order(['pod-10', 'pod-2', 'Pod-1']), ['Pod-1', 'pod-2', 'pod-10']);
  assert.deepEqual(order(['b', '', 'a', undefined].map((v) => v ?? '')), ['a', 'b', '', '']);
});

test('equal keys stand in the order of namespaces and names, also when turned round', () => {
  const objects = [pod('b', 'x'), pod('a', 'y'), pod('a', 'x')];
  const names = (list) => list.map((object) => `${object.metadata.namespace}/${object.metadata.name}`);
  assert.deepEqual(names(sorted(objects, () => 1)), ['x/a', 'x/b', 'y/a']);
  assert.deepEqual(names(sorted(objects, () => 1, true)), ['x/a', 'x/b', 'y/a']);
  assert.deepEqual(names(sorted(objects, (object) => object.metadata.name, true)), ['x/b', 'x/a', 'y/a']);
});
