import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from '../src/lib/backoff.js';
import { age, bytes, cores, duration, plural, quantity, withoutEscapes } from '../src/lib/format.js';

const table = (deed, cases) => cases.forEach(([given, want]) => assert.equal(deed(given), want, JSON.stringify(given)));

test('ages are as kubectl prints them', () => {
  const [minute, hour, day] = [60, 3600, 86400];
  table(duration, [
    [-5, '0s'], [0, '0s'], [119, '119s'], [120, '2m'], [125, '2m5s'], [599, '9m59s'], [600, '10m'], [179 * minute, '179m'], [3 * hour, '3h'],
    [3 * hour + 5 * minute, '3h5m'], [8 * hour, '8h'], [47 * hour, '47h'], [2 * day, '2d'], [2 * day + hour, '2d1h'], [8 * day, '8d'], [400 * day, '400d'], [800 * day, '2y70d'],
  ]);
  assert.equal(age('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:01:30Z')), '90s');
  assert.equal(age(undefined), '');
});

test('quantities', () => {
  table(quantity, [['100m', 0.1], ['2', 2], ['1.5', 1.5], ['128Mi', 2 ** 27], ['1Gi', 2 ** 30], ['1k', 1000], ['1e3', 1000], ['12E', 12e18], ['', 0], [undefined, 0], ['many', 0], [4, 4]]);
  table(bytes, [[0, '0 B'], [1023, '1023 B'], [1536, '1.5 KiB'], [2 ** 30, '1 GiB'], [24 * 2 ** 30, '24 GiB']]);
  table(cores, [[0, '0'], [0.1, '100m'], [0.1 * 3 + 0.7, '1'], [0.9999999999999999, '1'], [1.5, '1.5'], [16, '16']]);
  assert.equal(plural(1, 'pod') + plural(0, 'pod'), '1 pod0 pods');
});

test('a log has no colours and no cursor', () => {
  table(withoutEscapes, [
    ['\x1b[32mok\x1b[0m', 'ok'], ['\x1b]0;title\x07x', 'x'], ['10%\r20%\r\n', '10%\n20%\n'], ['plain [32m', 'plain [32m'], ['\x1b[2J\x1b[H', ''],
  ]);
});

test('each attempt waits longer, up to a limit, and never all at once', () => {
  assert.deepEqual([0, 1, 2, 20].map((attempt) => backoff(attempt, 0.5)), [500, 1000, 2000, 15000]);
  assert.ok(backoff(3, 0) < backoff(3, 1));
});
