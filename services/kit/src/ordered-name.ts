import { hash } from 'node:crypto';
import type { Instant } from './units.ts';

/** 48 bits of milliseconds, four to a letter. */
const TIME_LETTERS = 12;
const DIGEST_LETTERS = 20;

/**
 * A name for what `subject` names, in a run that began at `begun`: 32 letters a-p, of which twelve are the time and twenty (80 bits) are of the
 * subject's SHA-256. The same subject of the same run always has the same name.
 *
 * Names in the order of time keep what is written together on the same pages of an index. By a plain hash every row would touch a page of its own in
 * every index, which costs more than twice the processor time and four times the bytes (docs/concepts/performance.md). Letters only, because digits in
 * an id could be taken for a card number by somebody's scanner.
 */
export function orderedName(begun: Instant, subject: string): string {
  const time = Math.max(0, begun).toString(16).padStart(TIME_LETTERS, '0').slice(-TIME_LETTERS);
  return letters(time + hash('sha256', subject, 'hex').slice(0, DIGEST_LETTERS));
}

/** Hex digits as letters a-p. */
export function letters(hex: string): string {
  let text = '';
  for (const digit of hex) text += LETTERS[Number.parseInt(digit, 16)];
  return text;
}

const LETTERS = 'abcdefghijklmnop';
