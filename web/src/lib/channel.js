// `v5.channel.k8s.io`: the streams of a process inside one WebSocket, each message led by its channel's number.

export const PROTOCOL = 'v5.channel.k8s.io';
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4 };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message of `data`, which is text or bytes. */
export function frame(channel, data) {
  const body = typeof data === 'string' ? encoder.encode(data) : data;
  const message = new Uint8Array(body.length + 1);
  message[0] = channel;
  message.set(body, 1);
  return message;
}

export const resizeFrame = (columns, rows) => frame(CHANNEL.resize, JSON.stringify({ Width: columns, Height: rows }));

export function parse(message) {
  const bytes = new Uint8Array(message);
  return { channel: bytes[0], data: bytes.subarray(1) };
}

/** How the process ended, out of the status channel's message. */
export function ending(data) {
  const status = JSON.parse(decoder.decode(data));
  if (status.status === 'Success') return { code: 0, words: 'the shell ended' };
  const cause = status.details?.causes?.find((c) => c.reason === 'ExitCode');
  if (cause) return { code: Number(cause.message), words: `the shell ended with exit code ${cause.message}` };
  return { code: null, words: status.message || 'the shell could not be started' };
}
