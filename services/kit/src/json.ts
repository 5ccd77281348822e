import { createHash } from 'node:crypto';

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [name: string]: Json | undefined };

/**
 * Canonical JSON by RFC 8785: members sorted by their names' UTF-16 units, no white space, numbers as ECMAScript prints them.
 * Two bodies that mean the same have the same text, and so the same fingerprint.
 * @throws TypeError for what JSON cannot carry (NaN, Infinity, functions, lone surrogates are left to the parser).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`JSON has no number ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
  }
  throw new TypeError(`JSON has no ${typeof value}`);
}

/** SHA-256 over command and canonical body, in hex: what a key is held to (contract, promise 1). */
export function fingerprint(command: string, body: unknown): string {
  return createHash('sha256').update(command).update('\n').update(canonicalJson(body)).digest('hex');
}
