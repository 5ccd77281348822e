import type { Milliseconds } from '../units.ts';

/** A subscriber refused events, and may have said which of them, and when to come again. */
export class NotTaken extends Error {
  override readonly name = 'NotTaken';
  readonly retryAfter: Milliseconds | undefined;
  /** Places, from 0 and rising, of those events of the delivery that are to come again; the others it has. Undefined: all are to. */
  readonly again: readonly number[] | undefined;

  constructor(message: string, retryAfter?: Milliseconds, again?: readonly number[]) {
    super(message);
    this.retryAfter = retryAfter;
    this.again = again;
  }
}

/**
 * Which events of a delivery an answer names as those that are to come again: the member `again` of a JSON object, places from 0.
 *
 * @param answer the text of a 503, from anybody
 * @param count how many events were delivered
 * @returns rising; undefined where it names none, one twice, or what was not delivered: then nothing is known to have been taken
 */
export function placesAgain(answer: string, count: number): readonly number[] | undefined {
  const again = memberAgain(answer);
  if (!Array.isArray(again) || again.length === 0 || again.length > count) return undefined;
  const isPlace = (place: unknown): place is number =>
    Number.isSafeInteger(place) && (place as number) >= 0 && (place as number) < count;
  if (!again.every(isPlace) || new Set(again).size < again.length) return undefined;
  return again.toSorted((a, b) => a - b);
}

function memberAgain(answer: string): unknown {
  try {
    const body: unknown = JSON.parse(answer);
    return typeof body === 'object' && body !== null && 'again' in body ? body.again : undefined;
  } catch {
    return undefined;
  }
}
