/**
 * Finding card numbers where none may be. The service takes tokens; a card number that reaches it would pull every log, store
 * and backup behind it into the scope of PCI DSS, so a request that carries one is refused before anything reads it.
 */

/** 12 to 19 digits, single spaces, dots or dashes allowed between them, not part of a longer run of letters and digits. */
const CANDIDATE = /(?<![0-9A-Za-z])\d(?:[ .-]?\d){11,18}(?![0-9A-Za-z])/g;

/** UUIDs are left out: one in 3,000 random ones ends in twelve digits that satisfy Luhn by chance. */
const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi;

/** Whether the digits satisfy the Luhn check of ISO/IEC 7812-1, annex B. Anything but digits is ignored. */
export function luhn(text: string): boolean {
  const digits = text.replace(/\D/g, '');
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return digits.length > 0 && sum % 10 === 0;
}

/** Whether the text holds what looks like a card number: 12 to 19 digits (ISO/IEC 7812-1) that satisfy Luhn. */
export function looksLikePan(text: string): boolean {
  for (const match of text.replace(UUID, '').matchAll(CANDIDATE)) {
    if (containsLuhn(match[0])) return true;
  }
  return false;
}

/** A grouped run can swallow a neighbour ("ref 12 4111 1111 1111 1111"), so each tail that starts at a group is tried. */
function containsLuhn(run: string): boolean {
  const groups = run.split(/[ .-]/);
  for (let from = 0; from < groups.length; from++) {
    for (let to = groups.length; to > from; to--) {
      const digits = groups.slice(from, to).join('');
      if (digits.length >= 12 && digits.length <= 19 && luhn(digits)) return true;
    }
  }
  return false;
}

/**
 * The path of the first value or property name in a parsed JSON value that looks like a card number, as `$.customer.note`, or
 * undefined. The path never repeats the number itself: a property name that is one is given as `*`.
 */
export function findPan(value: unknown, path = '$'): string | undefined {
  if (typeof value === 'string') return looksLikePan(value) ? path : undefined;
  if (typeof value === 'number' || typeof value === 'bigint') return looksLikePan(String(value)) ? path : undefined;
  if (Array.isArray(value)) return firstOf(value.map((item, i) => [item, `${path}[${i}]`] as const));
  if (value === null || typeof value !== 'object') return undefined;
  const entries = Object.entries(value);
  if (entries.some(([name]) => looksLikePan(name))) return `${path}.*`;
  return firstOf(entries.map(([name, item]) => [item, `${path}.${name}`] as const));
}

function firstOf(items: readonly (readonly [unknown, string])[]): string | undefined {
  for (const [item, path] of items) {
    const found = findPan(item, path);
    if (found !== undefined) return found;
  }
  return undefined;
}
