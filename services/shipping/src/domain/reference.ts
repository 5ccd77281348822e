import { createHash } from 'node:crypto';
import type { CommandContext } from '@mercato/kit';
import { letters, orderedName } from '@mercato/kit/ordered-name.ts';

/**
 * Our name for one operation at the carrier. The same command under the same epoch always has the same reference, so the carrier
 * recognises a repeat, and a lost answer is found again by asking for it.
 */
export type Reference = string & { readonly __brand: 'Reference' };

/** The reference of a command, from its key and epoch: `so_` and 32 letters, in the order in which runs began. */
export function commandReference({ begun, reference }: Pick<CommandContext, 'begun' | 'reference'>): Reference {
  return `so_${orderedName(begun, reference)}` as Reference;
}

/** The reference of anything else that `name` names: `so_` and 32 letters from the name's SHA-256. */
export function referenceOf(name: string): Reference {
  return `so_${letters(createHash('sha256').update(name).digest('hex').slice(0, 32))}` as Reference;
}

/** Our own id of the booking that the reference asks for. */
export function bookingIdOf(reference: Reference): string {
  return `bk_${reference.slice('so_'.length)}`;
}

/** The reference of the one cancellation that a booking can get, whoever asks and however often. */
export function cancelReferenceOf(booking: Reference): Reference {
  return referenceOf(`cancel ${booking}`);
}
