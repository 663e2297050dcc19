import assert from 'node:assert/strict';
import test from 'node:test';
import { addressOf, hostsOf, pathsOf } from '../src/lib/ingresses.js';

const path = (path, name, port) => ({ path, backend: { service: { name, port } } });
const shop = {
  spec: {
    tls: [{ hosts: ['a.example'], secretName: 's' }],
    rules: [
      { host: 'a.example', http: { paths: [path('/', 'web', { number: 80 }), path('/api', 'api', { name: 'http' })] } },
      { host: '*.b', http: { paths: [path('', 'wild', { number: 81 })] } },
    ],
    defaultBackend: { service: { name: 'rest', port: { number: 82 } } },
  },
  status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } },
};

test('hosts are links where they are names', () => {
  assert.deepEqual(hostsOf(shop), [{ text: 'a.example', url: 'https://a.example' }, { text: '*.b' }]);
  assert.deepEqual(hostsOf({ spec: {} }), [{ text: '*' }]);
});

test('paths lead to services', () => {
  assert.deepEqual(pathsOf(shop).map(({ from, to }) => `${from} ${to}`),
    ['a.example/ web:80', 'a.example/api api:http', '*.b/ wild:81', 'everything else rest:82']);
  assert.equal(addressOf(shop), '192.0.2.1');
});
