// Objects as YAML, for reading. Only writes, and only what JSON can hold.

const PLAIN = /^[A-Za-z_./][\w ./()+=,;<>$@%^~-]*(?::[\w./][\w ./:()+=,;<>$@%^~-]*)*$/;
// what YAML 1.1 or 1.2 would read as something else than a string
const OTHER = /^(?:y|n|yes|no|on|off|true|false|null|~|\.inf|\.nan|\.)$/i;

function scalar(value) {
  if (value === null || value === undefined) return 'null';
  if (typeof value !== 'string') return String(value);
  const plain = PLAIN.test(value) && !OTHER.test(value) && value.trimEnd() === value && !value.includes(' #');
  return plain ? value : JSON.stringify(value);
}

function block(text, indent) {
  const body = text.replace(/\n+$/, '');
  const keep = text.length - body.length;
  const mark = keep === 0 ? '|-' : keep === 1 ? '|' : '|+';
  const lines = (keep > 1 ? text.slice(0, -1) : body).split('\n');
  return `${mark}\n${lines.map((line) => (line ? indent + line : '')).join('\n')}`;
}

// a block can not say that its first line begins with a blank without more syntax, and control characters need escapes
const isBlock = (value) =>
  typeof value === 'string' && value.trim() !== '' && /[^\n]\n/.test(value) && !/^[\s]|[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ufeff]/.test(value);

function write(value, indent) {
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []';
    return value.map((item) => `\n${indent}-${inline(write(item, `${indent}  `), indent)}`).join('');
  }
  if (value && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (entries.length === 0) return ' {}';
    return entries.map(([key, item]) => `\n${indent}${scalar(key)}:${write(item, deeper(item, indent))}`).join('');
  }
  return ` ${isBlock(value) ? block(value, indent) : scalar(value)}`;
}

// lists stand at the column of their key, as kubectl writes them
const deeper = (item, indent) => (Array.isArray(item) ? indent : `${indent}  `);

/** A map or list inside a list begins on the line of its dash. */
const inline = (text, indent) => (text.startsWith(`\n${indent}  `) ? ` ${text.slice(indent.length + 3)}` : text);

export const toYaml = (value) => `${write(value, '').trimStart()}\n`;
