import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHANNEL, ending, frame, parse, resizeFrame } from '../src/lib/channel.js';
import { byteLength, decode, redacted } from '../src/lib/secrets.js';
import { addresses, portText } from '../src/lib/services.js';

const text = (bytes) => new TextDecoder().decode(bytes);
const status = (object) => new TextEncoder().encode(JSON.stringify(object));

test('a message is led by its channel', () => {
  assert.deepEqual([...frame(CHANNEL.stdin, 'hé')], [0, 104, 195, 169]);
  assert.deepEqual([...frame(CHANNEL.stdin, new Uint8Array([7]))], [0, 7]);
  const resize = parse(resizeFrame(80, 24).buffer);
  assert.deepEqual([resize.channel, text(resize.data)], [4, '{"Width":80,"Height":24}']);
  assert.equal(parse(new ArrayBuffer(0)).channel, undefined);
});

test('how a shell ended', () => {
  const failed = { status: 'Failure', reason: 'NonZeroExitCode', message: 'command terminated', details: { causes: [{ reason: 'ExitCode', message: '3' }] } };
  assert.deepEqual(ending(status({ status: 'Success' })), { code: 0, words: 'the shell ended' });
  assert.deepEqual(ending(status(failed)), { code: 3, words: 'the shell ended with exit code 3' });
  assert.deepEqual(ending(status({ status: 'Failure', message: 'no such container' })), { code: null, words: 'no such container' });
});

test('a secret shows its keys and nothing of its values', () => {
  const applied = { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"a":"c2VjcmV0"}}', other: 'x' };
  const secret = { kind: 'Secret', metadata: { name: 's', annotations: applied }, data: { a: 'c2VjcmV0' } };
  const shown = redacted(secret);
  assert.ok(!JSON.stringify(shown).includes('c2VjcmV0'));
  assert.deepEqual([Object.keys(shown.data), shown.metadata.annotations.other, shown.metadata.name], [['a'], 'x', 's']);
  assert.equal(secret.data.a, 'c2VjcmV0', 'the object itself is as it was');
  const map = { kind: 'ConfigMap', metadata: {}, data: { a: 'b' } };
  assert.equal(redacted(map), map);
});

test('values', () => {
  assert.deepEqual(['', 'YQ==', 'YWI=', 'YWJj'].map(byteLength), [0, 1, 2, 3]);
  assert.equal(decode('aMOp'), 'hé');
  assert.equal(decode('/w=='), null);
});

test('a service answers from the widest around first', () => {
  const service = {
    spec: { type: 'LoadBalancer', clusterIP: '10.96.0.9', ports: [{ port: 80, nodePort: 30080, name: 'http' }, { port: 53, nodePort: 30053, protocol: 'UDP' }] },
    status: { loadBalancer: { ingress: [{ ip: '10.98.0.1' }] } },
  };
  const all = addresses(service, '127.0.0.1').map(({ text: where, url = '-' }) => `${where} ${url}`);
  assert.deepEqual(all, [
    '10.98.0.1:80 http://10.98.0.1/', '10.98.0.1:53 -', '127.0.0.1:30080 http://127.0.0.1:30080/', '127.0.0.1:30053 -', '10.96.0.9:80 http://10.96.0.9/', '10.96.0.9:53 -',
  ]);
  assert.equal(portText(service), '80:30080/TCP, 53:30053/UDP');
  assert.deepEqual(addresses({ spec: { type: 'ExternalName', externalName: 'x' } }, 'n'), []);
  assert.deepEqual(addresses({ spec: { clusterIP: 'None', ports: [{ port: 80 }] } }, 'n'), []);
  assert.equal(addresses({ spec: { clusterIP: '10.96.0.1', ports: [{ port: 443 }] } }, 'n')[0].url, 'https://10.96.0.1/');
});
