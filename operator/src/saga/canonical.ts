import { createHash } from 'node:crypto';

/**
 * Canonical JSON after RFC 8785: properties sorted by UTF-16 code units, no white space, numbers as ECMAScript prints them. Properties whose
 * value is `undefined` are left out, as in `JSON.stringify`.
 *
 * @throws TypeError for a number that JSON does not know (NaN, Infinity).
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const record = value as Record<string, unknown>;
    const parts: string[] = [];
    for (const key of Object.keys(record).sort()) {
      if (record[key] !== undefined) parts.push(`${JSON.stringify(key)}:${canonicalJson(record[key])}`);
    }
    return `{${parts.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} cannot be written as JSON`);
  return JSON.stringify(value);
}

/** SHA-256 of a text (UTF-8), in lower-case hexadecimal. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
