import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toYaml } from '../src/lib/yaml.js';

const cases = [
  ['scalars', { a: 1, b: true, c: null, d: 'text', e: 1.5 }, 'a: 1\nb: true\nc: null\nd: text\ne: 1.5\n'],
  ['strings that look like something else', { a: 'true', b: '1', c: '', d: 'null', e: '1.5', f: 'Yes', g: '0x1f', h: '2026-01-01' },
    'a: "true"\nb: "1"\nc: ""\nd: "null"\ne: "1.5"\nf: "Yes"\ng: "0x1f"\nh: "2026-01-01"\n'],
  ['strings that YAML would cut', { a: 'x: y', b: 'x #y', c: '- x', d: '*x', e: 'x:', f: ' x', g: '@x', h: '{x}' },
    'a: "x: y"\nb: "x #y"\nc: "- x"\nd: "*x"\ne: "x:"\nf: " x"\ng: "@x"\nh: "{x}"\n'],
  ['plain strings', { image: 'registry.example/a/b:1.2', path: '/var/run', url: 'http://x:80/y', words: 'two words' },
    'image: registry.example/a/b:1.2\npath: /var/run\nurl: http://x:80/y\nwords: two words\n'],
  ['lists stand under their key', { list: [1, 'b'], maps: [{ name: 'a', value: 1 }, { name: 'b' }], nested: [[1, 2], []] },
    'list:\n- 1\n- b\nmaps:\n- name: a\n  value: 1\n- name: b\nnested:\n- - 1\n  - 2\n- []\n'],
  ['lists in maps in lists', { c: [{ env: [{ name: 'x' }], ports: [] }] }, 'c:\n- env:\n  - name: x\n  ports: []\n'],
  ['empty', { a: {}, b: [] }, 'a: {}\nb: []\n'],
  ['undefined is not there', { a: undefined, b: 1 }, 'b: 1\n'],
  ['many lines', { a: 'one\ntwo\n', b: 'one\n\ntwo', deep: { c: 'x\n  y\n' } }, 'a: |\n  one\n  two\nb: |-\n  one\n\n  two\ndeep:\n  c: |\n    x\n      y\n'],
  ['lines that need escapes', { a: '  x\ny', b: 'x\ty\r\n' }, 'a: "  x\\ny"\nb: "x\\ty\\r\\n"\n'],
  ['keys', { 'kubernetes.io/name': 'a', '1': 'b', 'x: y': 'c' }, '"1": b\nkubernetes.io/name: a\n"x: y": c\n'],
];

for (const [name, given, want] of cases) {
  test(name, () => assert.equal(toYaml(given), want));
}
