/** A type that is `T` at run time and cannot be mixed up with another `T` at compile time. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
declare const brand: unique symbol;

/** A span of time in milliseconds. */
export type Milliseconds = Brand<number, 'Milliseconds'>;
/** A moment: milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = Brand<number, 'Instant'>;

export const milliseconds = (value: number): Milliseconds => value as Milliseconds;
export const seconds = (value: number): Milliseconds => (value * 1000) as Milliseconds;
export const minutes = (value: number): Milliseconds => (value * 60_000) as Milliseconds;
export const days = (value: number): Milliseconds => (value * 86_400_000) as Milliseconds;

export const instant = (value: number): Instant => value as Instant;
export const after = (at: Instant, span: Milliseconds): Instant => (at + span) as Instant;
export const before = (at: Instant, span: Milliseconds): Instant => (at - span) as Instant;

/** RFC 3339 in UTC with milliseconds, as `2026-11-22T12:00:00.000Z`. */
export const toRfc3339 = (at: Instant): string => new Date(at).toISOString();

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** The moment that an RFC 3339 timestamp names; undefined when the text is none. */
export function parseRfc3339(text: string): Instant | undefined {
  if (!rfc3339.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : (at as Instant);
}

const durationUnits: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * A duration as people write it: `250ms`, `15m`, `1h30m`, `35d`.
 * @throws RangeError that names the text when it is none.
 */
export function parseDuration(text: string): Milliseconds {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new RangeError(`"${text}" is no duration: write it as 250ms, 15m, 1h30m or 35d`);
  }
  return milliseconds(parts.reduce((sum, [, count, unit]) => sum + Number(count) * durationUnits[unit!]!, 0));
}
