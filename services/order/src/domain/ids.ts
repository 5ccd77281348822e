import { randomFillSync } from 'node:crypto';
import type { Brand, Instant } from '@mercato/kit';

/** Names an order for ever: a DNS label of 27 characters, since it names the run too. */
export type OrderId = Brand<string, 'OrderId'>;
/** Whose order it is, by an opaque id. */
export type CustomerId = Brand<string, 'CustomerId'>;

/** Crockford's base 32 in lower case: sorts as its value does, and has no letters that look like digits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const form = /^o[0-9a-hjkmnp-tv-z]{26}$/;
const TIME_CHARACTERS = 10;
const RANDOM_BYTES = 10;

/**
 * A new id: `o`, the time in 10 characters, 80 random bits in 16 (the layout of a ULID). So ids sort by when their orders were placed, to the millisecond,
 * and nobody guesses another's.
 * @param random ten random bytes
 */
export function newOrderId(at: Instant, random: Uint8Array = freshBytes()): OrderId {
  let text = `o${timePart(at)}`;
  for (let i = 0; i < RANDOM_BYTES; i += 5) {
    // Five bytes are eight characters. The upper four bits are apart, since bitwise operators have 32.
    const high = (random[i]! << 12) | (random[i + 1]! << 4) | (random[i + 2]! >> 4);
    const low = ((random[i + 2]! & 15) << 16) | (random[i + 3]! << 8) | random[i + 4]!;
    for (const part of [high, low]) for (let shift = 15; shift >= 0; shift -= 5) text += ALPHABET[(part >> shift) & 31];
  }
  return text as OrderId;
}

/** Random bytes are fetched for many ids at once: a call for each costs 15 microseconds, a tenth of what an order does. */
const pool = Buffer.alloc(RANDOM_BYTES * 400);
let used = pool.length;

function freshBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += RANDOM_BYTES;
  return pool.subarray(used - RANDOM_BYTES, used);
}

/** The id, or undefined when this is none of ours. */
export const parseOrderId = (text: string): OrderId | undefined => (form.test(text) ? (text as OrderId) : undefined);

/** Below every id of an order that was placed at this moment or later, and above all earlier ones. */
export const firstOrderIdAt = (at: Instant): OrderId => `o${timePart(at)}` as OrderId;

function timePart(at: Instant): string {
  let text = '';
  for (let rest = at as number, i = 0; i < TIME_CHARACTERS; i++, rest = Math.floor(rest / 32))
    text = ALPHABET[rest % 32] + text;
  return text;
}
