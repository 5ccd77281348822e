import { randomBytes } from 'node:crypto';

/** What the journal leaves to chance. A simulation says what comes, so that it plays the same each time. */
export interface Chance {
  /** A name that nobody else has: `bytes` of them, in hexadecimal. */
  name(bytes: number): string;
  /** From 0 (inclusive) to 1 (exclusive). */
  fraction(): number;
}

/** The machine's. */
export const systemChance: Chance = {
  name: (bytes) => randomBytes(bytes).toString('hex'),
  fraction: Math.random,
};
