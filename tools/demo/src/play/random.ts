import { createHash } from 'node:crypto';

/** A number from 0 (inclusive) to 1 (exclusive) that is a function of the text: 48 bits of its SHA-256. */
export function unitHash(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** A stream of numbers from 0 to 1 that follows from its seed alone (mulberry32, by Tommy Ettinger; 2^32 long, not for secrets). */
export function randomStream(seed: string): () => number {
  let state = createHash('sha256').update(seed).digest().readUInt32BE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The entry at `at` (0 to 1) of a list whose entries are as wide as their weights. */
export function weighted<T extends { readonly weight: number }>(entries: readonly T[], at: number): T {
  let left = at * entries.reduce((sum, entry) => sum + entry.weight, 0);
  for (const entry of entries) {
    if (left < entry.weight) return entry;
    left -= entry.weight;
  }
  return entries.at(-1)!;
}
