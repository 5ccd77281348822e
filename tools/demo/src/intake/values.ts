import type { MinorUnits } from '@mercato/operator/api/money.ts';

/** A value of a field, or what is wrong with its text. */
export type Value<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly detail: string };

const good = <T>(value: T): Value<T> => ({ ok: true, value });
const bad = (detail: string): Value<never> => ({ ok: false, detail });

/** A text as a message may show it. */
export const quoted = (text: string): string => JSON.stringify(text.length <= 40 ? text : `${text.slice(0, 40)}…`);

/** A whole number, as `12`, `-3` or `12.0` (tables with gaps write integers so). */
export function parseCount(text: string): Value<number> {
  const match = /^(-?\d{1,15})(?:\.0*)?$/.exec(text);
  return match === null ? bad(`${quoted(text)} is no whole number`) : good(Number(match[1]) + 0);
}

/**
 * An amount of a currency with two decimal places, as minor units: `2.55` is 255, and so is `2.550`. No floats: `0.29` is 29,
 * where 0.29 * 100 is not.
 */
export function parsePrice(text: string): Value<{ readonly minor: MinorUnits } | 'NotInCents' | 'Negative'> {
  const match = /^(-?)(\d{1,12})(?:\.(\d*))?$/.exec(text);
  if (match === null) return bad(`${quoted(text)} is no price: write it as 12.34`);
  const [, sign, whole = '0', decimals = ''] = match;
  const significant = decimals.replace(/0+$/, '');
  if (significant.length > 2) return good('NotInCents');
  const minor = Number(whole) * 100 + Number(significant.padEnd(2, '0'));
  return good(sign === '-' && minor > 0 ? 'Negative' : { minor: minor as MinorUnits });
}

/** A time, as `2010-12-01 08:26:00` or `12/1/2010 8:26` (month first), in milliseconds since 1970; zones are not known, so UTC is taken. */
export function parseMoment(text: string): Value<number> {
  const iso = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?$/.exec(text);
  const us = /^(\d{1,2})\/(\d{1,2})\/(\d{4}) (\d{1,2}):(\d\d)$/.exec(text);
  const parts = iso?.slice(1) ?? (us && [us[3], us[1], us[2], us[4], us[5]]);
  if (!parts) return bad(`${quoted(text)} is no time: write it as 2010-12-01 08:26:00`);
  const [year, month, day, hour, minute, second] = parts.map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number | undefined,
  ];
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second ?? 0));
  // Date rolls 31 February over into March; such a text is a typing error.
  const isReal =
    at.getUTCMonth() === month - 1 && at.getUTCDate() === day && hour < 24 && minute < 60 && (second ?? 0) < 60;
  return isReal ? good(at.getTime()) : bad(`${quoted(text)} is no time that exists`);
}
