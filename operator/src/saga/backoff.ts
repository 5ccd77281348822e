import type { RetryPolicy, RunMillis } from './types.ts';

/**
 * How long to wait after the `attempt`-th attempt (from 1) ended without a final answer:
 * `initialInterval * (backoffPercent/100)^(attempt-1)`, at most `maxInterval`, moved by up to `jitterPercent` both ways.
 *
 * The jitter is a hash of `seed` (run, step, send), not a random number, so that a replay is exact (design rule 9). A whole number of milliseconds.
 */
export function backoff(policy: RetryPolicy, attempt: number, seed: string): RunMillis {
  const grown = policy.initialInterval * (policy.backoffPercent / 100) ** (Math.max(1, attempt) - 1);
  const capped = Math.min(policy.maxInterval, grown);
  return Math.max(1, Math.round(capped * (1 + (policy.jitterPercent / 100) * (2 * fraction(seed) - 1))));
}

/** FNV-1a (32 bit) with a final avalanche (MurmurHash3's fmix32), as a number in [0, 1). FNV alone hardly moves its high bits on short texts. */
export function fraction(seed: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < seed.length; i++) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}
