/**
 * Finding card numbers where none may be. The service takes tokens; a card number that reaches it would pull every log, store
 * and backup behind it into the scope of PCI DSS, so a request that carries one is refused before anything reads it.
 */

/** ISO/IEC 7812-1: 12 to 19 digits, not part of a longer run of letters and digits. */
const PLAIN = /(?<![0-9A-Za-z])\d{12,19}(?![0-9A-Za-z])/g;

/** As people write them: fours (the last group may be shorter), or 4-6-5 and 4-6-4, one separator between two groups. */
const GROUPED = /(?<![0-9A-Za-z])\d{4}(?:(?:[ .-]\d{4}){2,3}(?:[ .-]\d{1,4})?|[ .-]\d{6}[ .-]\d{4,5})(?![0-9A-Za-z])/g;

/** Digits that the large schemes do issue (Visa, Mastercard, Amex, Diners, JCB, Discover, UnionPay), also glued to letters. */
const ISSUED =
  /(?<!\d)(?:4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6(?:011|5\d\d)\d{12}|62\d{14,17})(?!\d)/g;

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

/** Whether the text holds what looks like a card number: digits in one of the forms above that satisfy Luhn. */
export function looksLikePan(text: string): boolean {
  if (hasFewDigits(text)) return false;
  const rest = text.replace(UUID, '');
  return hasLuhn(rest, PLAIN) || hasLuhn(rest, GROUPED) || hasLuhn(rest, ISSUED);
}

/**
 * As looksLikePan, but only for digits that a scheme issues: for amounts and for names such as an idempotency key, which are often
 * long numbers, of which every tenth satisfies Luhn.
 */
export function namesPan(name: string): boolean {
  return !hasFewDigits(name) && hasLuhn(name.replace(UUID, ''), ISSUED);
}

function hasLuhn(text: string, form: RegExp): boolean {
  // Most texts have none of the form, and to search costs a tenth of what all matches do.
  return text.search(form) !== -1 && [...text.matchAll(form)].some((match) => luhn(match[0]));
}

/** The shortest card number of any form has twelve digits. Counted, because it is asked of every text of every command. */
function hasFewDigits(text: string): boolean {
  let digits = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 48 && code <= 57 && ++digits === 12) return false;
  }
  return true;
}

/**
 * The path of the first value or property name in a parsed JSON value that looks like a card number, as `$.customer.note`, or
 * undefined. The path never repeats the number itself: a property name that is one is given as `*`.
 */
export function findPan(value: unknown, path = '$'): string | undefined {
  if (typeof value === 'string') return looksLikePan(value) ? path : undefined;
  // Every tenth amount of twelve digits satisfies Luhn, and is no card number.
  if (typeof value === 'number') return namesPan(String(value)) ? path : undefined;
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
