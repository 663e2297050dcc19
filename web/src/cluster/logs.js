// A container's log as it is written.

import { withoutEscapes } from '../lib/format.js';
import { request } from './http.js';
import { objectPath, withQuery } from './paths.js';

const PODS = { group: '', version: 'v1', plural: 'pods' };
const TAIL = 2_000;

/** Hands each piece of text to `write`; resolves when the log has ended. */
export async function followLog(pod, { container, previous, timestamps }, write, signal) {
  const query = { container, previous, timestamps, follow: !previous, tailLines: TAIL };
  const response = await request('GET', withQuery(objectPath(PODS, pod, 'log'), query), { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    write(withoutEscapes(value));
  }
}
