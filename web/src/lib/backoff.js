const FIRST = 500;
const LONGEST = 15_000;

/** Milliseconds before attempt number `attempt` (0 is the first repetition): doubling, and spread so that many do not come at once. */
export function backoff(attempt, random = Math.random()) {
  const full = Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.75 + random / 2));
}
