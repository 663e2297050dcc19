// Values as they are shown.


/** As kubectl prints an age: two units where the first is small, else one. */
export function duration(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  if (left < 120) return `${left}s`;
  if (left < 600) return two(left, 60, 'm', 1, 's');
  if (left < 3 * 3_600) return `${Math.floor(left / 60)}m`;
  if (left < 8 * 3_600) return two(left, 3_600, 'h', 60, 'm');
  if (left < 2 * 86_400) return `${Math.floor(left / 3_600)}h`;
  if (left < 8 * 86_400) return two(left, 86_400, 'd', 3_600, 'h');
  if (left < 2 * 365 * 86_400) return `${Math.floor(left / 86_400)}d`;
  return two(left, 365 * 86_400, 'y', 86_400, 'd');
}

function two(left, large, largeName, small, smallName) {
  const rest = Math.floor((left % large) / small);
  return `${Math.floor(left / large)}${largeName}${rest ? `${rest}${smallName}` : ''}`;
}

export const age = (timestamp, now = Date.now()) => (timestamp ? duration((now - Date.parse(timestamp)) / 1000) : '');

const FACTORS = {
  n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18,
  Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60,
};

/** A Kubernetes quantity as a number; what is none counts nothing. */
export function quantity(text) {
  const found = /^([+-]?[\d.]+)(?:e([+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/i.exec(String(text ?? '').trim());
  if (!found) return 0;
  const [, number, exponent, unit = ''] = found;
  if (exponent) return Number(number) * 10 ** Number(exponent);
  return Number(number) * (FACTORS[unit] ?? 0);
}

export function bytes(count) {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki']) {
    if (count >= FACTORS[unit]) return `${trim(count / FACTORS[unit])} ${unit}B`;
  }
  return `${Math.round(count)} B`;
}

export function cores(count) {
  const thousandths = Math.round(count * 1000); // sums of tenths are no whole numbers
  return thousandths > 0 && thousandths < 1000 ? `${thousandths}m` : trim(thousandths / 1000);
}

const trim = (number) => String(Number(number.toFixed(number < 10 ? 1 : 0)));

/** `1 pod`, `2 pods`. */
export const plural = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;

export const labels = (map) => Object.entries(map ?? {}).map(([key, value]) => (value === '' ? key : `${key}=${value}`));

const ESCAPES = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;

/** A log without the colours and cursor moves that its writer meant for a terminal. */
export const withoutEscapes = (text) => text.replace(ESCAPES, '').replace(/\r(?!\n)/g, '\n').replace(/\r\n/g, '\n');
