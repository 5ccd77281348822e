/** An amount in the smallest unit of its currency (pence, cents), an integer from 0 to 2^53-1. */
export type MinorUnits = number & { readonly __brand: 'MinorUnits' };

/** An ISO 4217 alphabetic code, upper case. */
export type Currency = string & { readonly __brand: 'Currency' };

/** The amount as MinorUnits, or undefined when it is no integer from 0 to 2^53-1. */
export function parseMinorUnits(value: unknown): MinorUnits | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? (value as MinorUnits) : undefined;
}

/** The code as Currency, or undefined when it is not three upper-case letters. */
export function parseCurrency(value: unknown): Currency | undefined {
  return typeof value === 'string' && /^[A-Z]{3}$/.test(value) ? (value as Currency) : undefined;
}

/** MinorUnits of a number known to be one; throws a RangeError otherwise. */
export function minorUnits(value: number): MinorUnits {
  const parsed = parseMinorUnits(value);
  if (parsed === undefined)
    throw new RangeError(`${value} is no amount in minor units: use an integer from 0 to 2^53-1`);
  return parsed;
}
