declare const milliseconds: unique symbol;

/** A length of time in whole milliseconds. */
export type Milliseconds = number & { readonly [milliseconds]: true };

/** A text that is no duration. */
export class InvalidDuration extends Error {
  constructor(text: string, why: string) {
    super(`${JSON.stringify(text)} is no duration: ${why}`);
    this.name = 'InvalidDuration';
  }
}

/** Milliseconds in each unit, the largest first. A day is 24 hours. */
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

const FACTOR: ReadonlyMap<string, number> = new Map(UNITS);
const PART = /([0-9]+)(ms|s|m|h|d)/y;

/** A number of milliseconds as a length of time. Throws a RangeError for what is negative, fractional or above 2^53-1. */
export function asMilliseconds(value: number): Milliseconds {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`a length of time is a whole number of milliseconds from 0 to 2^53-1, not ${value}`);
  }
  return value as Milliseconds;
}

/**
 * Reads `250ms`, `15m`, `1h30m`: whole numbers with the units ms, s, m, h or d, added up, in any order. Stricter than Go's: no sign, no fraction and
 * no bare 0. Throws {@link InvalidDuration} for anything else, and for more than 2^53-1 milliseconds.
 */
export function parseDuration(text: string): Milliseconds {
  let total = 0;
  let position = 0;
  while (position < text.length || position === 0) {
    PART.lastIndex = position;
    const part = PART.exec(text);
    if (part === null) {
      throw new InvalidDuration(text, 'write whole numbers with the units ms, s, m, h or d, as 250ms, 15m or 1h30m');
    }
    total += Number(part[1]) * (FACTOR.get(part[2] ?? '') ?? Number.NaN);
    position = PART.lastIndex;
  }
  if (!Number.isSafeInteger(total)) throw new InvalidDuration(text, 'it is longer than 2^53-1 milliseconds');
  return total as Milliseconds;
}

/** The shortest text with the largest units first, as `1h30m`; zero is `0s`. `parseDuration(formatDuration(x))` is x. */
export function formatDuration(time: Milliseconds): string {
  if (time === 0) return '0s';
  let rest: number = time;
  let text = '';
  for (const [unit, factor] of UNITS) {
    const whole = Math.floor(rest / factor);
    if (whole > 0) text += `${whole}${unit}`;
    rest -= whole * factor;
  }
  return text;
}
