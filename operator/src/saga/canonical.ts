import { hash } from 'node:crypto';

/**
 * Canonical JSON after RFC 8785: properties sorted by UTF-16 code units, no white space, numbers as ECMAScript prints them. Properties whose
 * value is `undefined` are left out, as in `JSON.stringify`.
 *
 * @throws TypeError for a number that JSON does not know (NaN, Infinity).
 */
export function canonicalJson(value: unknown): string {
  // First, and by itself: most values are texts.
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const record = value as Record<string, unknown>;
    let text = '';
    for (const key of Object.keys(record).sort()) {
      const member = record[key];
      if (member === undefined) continue;
      text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`;
    }
    return `{${text}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} cannot be written as JSON`);
  return JSON.stringify(value);
}

/** SHA-256 of a text (UTF-8), in lower-case hexadecimal. */
export function sha256(text: string): string {
  return hash('sha256', text, 'hex');
}
