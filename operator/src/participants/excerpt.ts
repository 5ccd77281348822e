/** What stands in place of something that looks like a secret. */
const MASK = '[masked]';

/**
 * What must not travel from a participant's answer into a status, an Event or a log: credentials, payment tokens and card numbers. Patterns, because
 * an error page may quote any part of the request. Each errs on the side of masking.
 */
const SECRETS: readonly RegExp[] = [
  /\bbearer\s+[^\s"',<>]+/gi,
  // A JWT, or its first two parts.
  /\beyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?/g,
  // A value named as a secret: "paymentToken":"...", password=..., Authorization: ...
  /["']?\b[\w-]*(?:token|secret|passw(?:or)?d|authorization|api[-_]?key|cookie|pan|cvv|cvc)["']?\s*[:=]\s*(?:"[^"]*"?|'[^']*'?|[^\s,;&<>]+)/gi,
  // Identifiers that payment processors hand out.
  /\b(?:tok|pm|src|seti|pi|sk|pk)_[\w-]+/gi,
  // With a digit in it: `card_declined` is a reason that people must read.
  /\bcard_(?=\w*\d)\w+/gi,
  // 12 to 19 digits, grouped or not: may be a card number.
  /\b\d(?:[ -]?\d){11,18}\b/g,
  // A long run without a break is a credential or noise, and never a word.
  /[A-Za-z0-9+/=_]{32,}/g,
];

/**
 * A short, printable piece of a text that somebody else wrote, fit for people's eyes: one line, control characters and runs of white space
 * as one space, what looks like a secret masked, cut to `max` characters (an ellipsis included).
 */
export function excerpt(text: string, max = 160): string {
  // Cut generously first: masking may shorten, and nothing here may cost more than the answer's size limit allows.
  let line = text
    .slice(0, max * 8)
    .replaceAll(/[\p{C}\p{Z}\s]+/gu, ' ')
    .trim();
  for (const secret of SECRETS) line = line.replaceAll(secret, MASK);
  if (line.length <= max) return line;
  return `${[...line.slice(0, max)].slice(0, -1).join('').trimEnd()}…`;
}
