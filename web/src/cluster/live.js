// A collection that stays true: listed once, then watched; the watch goes on after a break, and the list is made anew when the
// server has forgotten where the watch was (410).

import { computed, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { backoff } from '../lib/backoff.js';
import { EMPTY, apply, fromPages, isExpired } from '../lib/reduce.js';
import { atNextFrame } from './frames.js';
import { ApiError, getJson, request } from './http.js';
import { collectionPath, idOf, socketUrl, withQuery } from './paths.js';

const PAGE = 500;
const SILENCE = 150_000; // a bookmark comes each minute: after two and a half the line is dead
const LINGER = 30_000; // going back to a view soon costs nothing
const SETTLED = 5_000; // a watch that has lasted so long was a good one: the next failure is a new one

const collections = new Map();
const all = signal([]);

/** Of all collections in use, the one that is worst off: `{ phase, why }`. */
export const health = computed(() => {
  const states = all.value.map((live) => live.phase.value);
  return ['ended', 'reconnecting', 'listing', 'live'].map((phase) => states.find((s) => s.phase === phase)).find(Boolean) ?? { phase: 'listing' };
});

export function collection(resource) {
  const id = idOf(resource);
  if (!collections.has(id)) collections.set(id, new Live(collectionPath(resource)));
  return collections.get(id);
}

/** The objects of a resource, followed as long as the component is there: `{ items, loaded }`. */
export function useCollection(resource) {
  const live = collection(resource);
  useEffect(() => {
    live.acquire();
    return () => live.release();
  }, [live]);
  return live.state.value;
}

class Live {
  constructor(path) {
    this.path = path;
    this.state = signal({ ...EMPTY, loaded: false });
    this.phase = signal({ phase: 'listing', why: '' });
    this.events = [];
    this.users = 0;
    this.abort = null;
    this.flush = () => {
      const events = this.events.splice(0);
      this.state.value = { ...apply(this.state.value, events), loaded: true };
    };
  }

  acquire() {
    this.users += 1;
    if (this.abort) return;
    this.abort = new AbortController();
    this.phase.value = { phase: 'listing', why: '' };
    all.value = [...all.value, this];
    this.follow(this.abort.signal);
  }

  release() {
    this.users -= 1;
    setTimeout(() => {
      if (this.users > 0 || !this.abort) return;
      this.abort.abort();
      this.abort = null;
      all.value = all.value.filter((live) => live !== this);
    }, LINGER);
  }

  async follow(stop) {
    let attempt = 0;
    let known = false;
    while (!stop.aborted) {
      const began = Date.now();
      try {
        if (!known) await this.list(stop);
        known = true;
        await this.watch(stop, () => {
          this.phase.value = { phase: 'live', why: '' };
        });
      } catch (error) {
        if (stop.aborted) return;
        // a watch that was cut goes on where it was; anything else begins with a list, which also says what is wrong
        known = known && error instanceof Cut;
        this.phase.value = { phase: error.code === 401 ? 'ended' : 'reconnecting', why: error.message };
      }
      if (Date.now() - began > SETTLED) attempt = 0;
      await pause(backoff(attempt++), stop);
    }
  }

  async list(stop) {
    const pages = [];
    let next;
    do {
      const page = await getJson(withQuery(this.path, { limit: PAGE, continue: next, pretty: 'false' }), { signal: stop });
      pages.push(page);
      next = page.metadata?.continue;
    } while (next);
    this.events = [];
    this.state.value = { ...fromPages(pages), loaded: true };
    this.revision = this.state.value.revision;
  }

  /** Until the watch ends. A WebSocket, since a browser opens only six plain connections to a host. */
  watch(stop, opened) {
    const path = withQuery(this.path, { watch: true, allowWatchBookmarks: true, resourceVersion: this.revision });
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(socketUrl(path));
      let isOpen = false;
      let silence;
      const end = (error) => {
        clearTimeout(silence);
        stop.removeEventListener('abort', aborted);
        socket.onclose = socket.onmessage = null;
        socket.close();
        if (error) reject(error);
        else resolve();
      };
      const aborted = () => end();
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => end(new Cut('nothing was heard for a while')), SILENCE);
      };
      stop.addEventListener('abort', aborted);
      socket.onopen = () => {
        isOpen = true;
        heard();
        opened();
      };
      socket.onmessage = ({ data }) => {
        heard();
        const event = JSON.parse(data);
        if (event.type === 'ERROR') end(isExpired(event.object) ? new Expired() : new ApiError(event.object.message, event.object.code));
        else this.take(event);
      };
      socket.onclose = () => (isOpen ? end(new Cut()) : whyRefused(path, stop).then(end));
    });
  }

  take(event) {
    this.revision = event.object.metadata.resourceVersion ?? this.revision;
    if (event.type === 'BOOKMARK') return;
    this.events.push(event);
    atNextFrame(this.flush);
  }
}

class Cut extends Error {
  constructor(message = 'the connection was cut') {
    super(message);
  }
}
class Expired extends Error {
  constructor() {
    super('the server has forgotten where we were; the list is read anew');
  }
}

/** A browser does not tell what a handshake was refused with: the same watch is asked for once more, without one. */
async function whyRefused(path, stop) {
  try {
    const response = await request('GET', path, { signal: stop });
    await response.body.cancel();
    return new Cut();
  } catch (error) {
    return error;
  }
}

/** Ends early when the machine is back on the network or the user looks again. */
function pause(milliseconds, stop) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      document.removeEventListener('visibilitychange', seen);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const seen = () => document.hidden || done();
    const timer = setTimeout(done, milliseconds);
    addEventListener('online', done);
    document.addEventListener('visibilitychange', seen);
    stop.addEventListener('abort', done);
  });
}
