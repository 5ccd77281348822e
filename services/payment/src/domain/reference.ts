import { createHash } from 'node:crypto';
import { letters, orderedName } from '@mercato/kit/ordered-name.ts';
import type { CommandContext } from '@mercato/kit/participant/command.ts';

/**
 * Our name for one operation at the processor. The same command under the same epoch always has the same reference, so the
 * processor recognises a repeat, and a lost answer is found again by asking for it.
 */
export type Reference = string & { readonly __brand: 'Reference' };

/** The reference of a command, from its key and epoch: `mo_` and 32 letters, in the order in which runs began. */
export function commandReference({ begun, reference }: Pick<CommandContext, 'begun' | 'reference'>): Reference {
  return `mo_${orderedName(begun, reference)}` as Reference;
}

/** The reference of anything else that `name` names: `mo_` and 32 letters from the name's SHA-256. */
export function referenceOf(name: string): Reference {
  return `mo_${letters(createHash('sha256').update(name).digest('hex').slice(0, 32))}` as Reference;
}

/**
 * The reference of the one void that an authorisation can get. It does not matter who asks, a compensation or the reconciler, or
 * how often: the processor sees one operation.
 */
export function voidReferenceOf(authorisation: Reference): Reference {
  return referenceOf(`void ${authorisation}`);
}

/** A stable id of our own with this prefix, derived from a reference. */
export function idFrom(prefix: string, reference: Reference): string {
  return prefix + reference.slice('mo_'.length);
}
