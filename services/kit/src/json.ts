import { hash } from 'node:crypto';

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
  if (Array.isArray(value)) {
    let text = '';
    for (const item of value) text += text === '' ? canonicalJson(item) : `,${canonicalJson(item)}`;
    return `[${text}]`;
  }
  if (typeof value === 'object') {
    let text = '';
    // Without a comparison, sort is by UTF-16 units.
    for (const name of Object.keys(value).sort()) {
      const member = (value as Record<string, unknown>)[name];
      if (member === undefined) continue;
      text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`;
    }
    return `{${text}}`;
  }
  throw new TypeError(`JSON has no ${typeof value}`);
}

/** SHA-256 over command and canonical body, in hex: what a key is held to (contract, promise 1). */
export function fingerprint(command: string, body: unknown): string {
  return hash('sha256', `${command}\n${canonicalJson(body)}`, 'hex');
}
