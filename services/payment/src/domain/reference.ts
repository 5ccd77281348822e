import { createHash } from 'node:crypto';

/**
 * Our name for one operation at the processor. The same command under the same epoch always has the same reference, so the
 * processor recognises a repeat, and a lost answer is found again by asking for it.
 */
export type Reference = string & { readonly __brand: 'Reference' };

/**
 * The reference of what `name` names, which for a command is its key and epoch (`context.reference`): `mo_` and 32 letters from
 * the name's SHA-256. Letters only, because digits in an id could be taken for a card number by somebody's scanner, ours included.
 */
export function referenceOf(name: string): Reference {
  return `mo_${letters(createHash('sha256').update(name).digest())}` as Reference;
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

/** 32 letters a-p, one for each four bits: 128 bits of the digest. */
function letters(digest: Buffer): string {
  return digest
    .toString('hex', 0, 16)
    .replace(/[0-9a-f]/g, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)));
}
