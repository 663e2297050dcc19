// Secrets are shown by name and size until somebody asks for a value.

const HIDDEN = '••••••••';
const APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** The same object without what is secret, also where kubectl wrote it a second time. */
export function redacted(object) {
  if (object.kind !== 'Secret') return object;
  const hide = (map) => map && Object.fromEntries(Object.keys(map).map((key) => [key, HIDDEN]));
  const { annotations } = object.metadata;
  const metadata = annotations?.[APPLIED] ? { ...object.metadata, annotations: { ...annotations, [APPLIED]: HIDDEN } } : object.metadata;
  return { ...object, metadata, ...(object.data && { data: hide(object.data) }), ...(object.stringData && { stringData: hide(object.stringData) }) };
}

export const byteLength = (base64) => Math.floor((base64.replace(/=+$/, '').length * 3) / 4);

/** A value as text, or `null` where it is none. */
export function decode(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
