// A shell in a container.

import { CHANNEL, PROTOCOL, ending, frame, parse, resizeFrame } from '../lib/channel.js';
import { getJson } from './http.js';
import { objectPath, socketUrl, withQuery } from './paths.js';

const PODS = { group: '', version: 'v1', plural: 'pods' };

/**
 * Starts `command` with a terminal. `on` is `{ output(bytes), end({ code, words }) }`; what is returned can `type`, `resize` and `close`.
 */
export function openShell(pod, container, command, on) {
  const path = withQuery(objectPath(PODS, pod, 'exec'), { container, command, stdin: true, stdout: true, tty: true });
  const socket = new WebSocket(socketUrl(path), PROTOCOL);
  socket.binaryType = 'arraybuffer';
  let ended = null;
  let isOpen = false;
  socket.onopen = () => {
    isOpen = true;
    on.open();
  };
  socket.onmessage = ({ data }) => {
    const message = parse(data);
    if (message.channel === CHANNEL.status) ended = ending(message.data);
    else if (message.channel === CHANNEL.stdout || message.channel === CHANNEL.stderr) on.output(message.data);
  };
  socket.onclose = async () => {
    if (!ended && !isOpen) ended = { code: null, words: await whyRefused(path) };
    on.end(ended ?? { code: null, words: 'the connection was cut' });
  };
  const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(message);
  return {
    type: (text) => send(frame(CHANNEL.stdin, text)),
    resize: (columns, rows) => send(resizeFrame(columns, rows)),
    close: () => {
      socket.onclose = null;
      socket.close();
    },
  };
}

const NO_SHELL = 'the shell could not be started: the container does not run, or its image has no “sh”';

/** A browser does not show why a handshake failed. Asked without one, the API says what it knows before it looks for that. */
async function whyRefused(path) {
  try {
    await getJson(path);
  } catch (error) {
    if (error.code !== 400) return error.message;
  }
  return NO_SHELL;
}
