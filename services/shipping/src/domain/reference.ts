import { createHash } from 'node:crypto';

/**
 * Our name for one operation at the carrier. The same command under the same epoch always has the same reference, so the carrier
 * recognises a repeat, and a lost answer is found again by asking for it.
 */
export type Reference = string & { readonly __brand: 'Reference' };

/** The reference for the kit's `context.reference` (key and epoch): `so_` and 32 hex digits of its SHA-256. */
export function referenceOf(reference: string): Reference {
  return `so_${createHash('sha256').update(reference).digest('hex').slice(0, 32)}` as Reference;
}

/** Our own id of the booking that the reference asks for. */
export function bookingIdOf(reference: Reference): string {
  return `bk_${reference.slice('so_'.length)}`;
}

/** The reference of the one cancellation that a booking can get, whoever asks and however often. */
export function cancelReferenceOf(booking: Reference): Reference {
  return referenceOf(`cancel ${booking}`);
}
