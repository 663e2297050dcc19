// Requests, and what went wrong with them in words.

export class ApiError extends Error {
  constructor(message, code = 0, status = null) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

const UNREACHABLE = 'monopod does not answer; “monopod status” says whether it runs';

/** The response, once it is a good one. */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  let response;
  try {
    response = await fetch(path, { method, body, headers, signal, credentials: 'same-origin', cache: 'no-store' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(UNREACHABLE);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const text = await response.text().catch(() => '');
  try {
    const status = JSON.parse(text);
    return new ApiError(status.message || status.reason, response.status, status);
  } catch {
    return new ApiError(text.trim().slice(0, 300) || `the API answered ${response.status}`, response.status);
  }
}

export async function getJson(path, { accept = 'application/json', signal } = {}) {
  const response = await request('GET', path, { headers: { Accept: accept }, signal });
  return response.json();
}

const send = (method, path, type, value) =>
  request(method, path, { body: JSON.stringify(value), headers: { 'Content-Type': type, Accept: 'application/json' } });

export const mergePatch = (path, patch) => send('PATCH', path, 'application/merge-patch+json', patch);

export const remove = (path, options) => send('DELETE', path, 'application/json', { kind: 'DeleteOptions', apiVersion: 'v1', ...options });
