declare const minorUnits: unique symbol;
declare const currency: unique symbol;

/** An amount of money in minor units of its currency (pence, cents; yen): a whole number up to 2^53-1, so exact in JSON. */
export type MinorUnits = number & { readonly [minorUnits]: true };
/** An ISO 4217 code of a currency in use. */
export type Currency = string & { readonly [currency]: true };

/** A sum or a product that is not exact: above 2^53-1 minor units. */
export class MoneyOverflow extends Error {
  constructor() {
    super('the amount exceeds 2^53-1 minor units, beyond which it is not exact: split it');
    this.name = 'MoneyOverflow';
  }
}

/** A text that is no currency. */
export class UnknownCurrency extends Error {
  constructor(code: string) {
    super(`${JSON.stringify(code)} is no currency: use a code of ISO 4217, as GBP`);
    this.name = 'UnknownCurrency';
  }
}

/**
 * The decimal places of each currency's minor unit: ISO 4217 list one (active codes; funds, metals and test codes left out).
 * What is not in the two short lists has 2.
 */
const NO_DECIMALS = 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF';
const THREE_DECIMALS = 'BHD IQD JOD KWD LYD OMR TND';
const TWO_DECIMALS =
  'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD ' +
  'EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL ' +
  'MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR ' +
  'SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG';

const DECIMALS: ReadonlyMap<string, number> = new Map(
  (
    [
      [NO_DECIMALS, 0],
      [TWO_DECIMALS, 2],
      [THREE_DECIMALS, 3],
    ] as const
  ).flatMap(([codes, places]) => codes.split(' ').map((code) => [code, places] as const)),
);

/** Throws {@link UnknownCurrency} for what is no ISO 4217 code. */
export function asCurrency(code: string): Currency {
  if (!DECIMALS.has(code)) throw new UnknownCurrency(code);
  return code as Currency;
}

/** The decimal places of the minor unit: 2 for GBP, 0 for JPY. */
export function decimalsOf(code: Currency): number {
  return DECIMALS.get(code) ?? 2;
}

/** A number as an amount. Throws a RangeError for what is negative or fractional, {@link MoneyOverflow} for what is above 2^53-1. */
export function asMinorUnits(value: number): MinorUnits {
  if (!Number.isInteger(value) || value < 0)
    throw new RangeError(`an amount is a whole number of minor units from 0, not ${value}`);
  if (value > Number.MAX_SAFE_INTEGER) throw new MoneyOverflow();
  return value as MinorUnits;
}

/** The exact sum. Throws {@link MoneyOverflow} above 2^53-1. */
export function sum(amounts: Iterable<MinorUnits>): MinorUnits {
  let total = 0;
  for (const amount of amounts) {
    // Both are exact, and a sum of two exact numbers rounds to above 2^53-1 whenever it really is.
    total += amount;
    if (total > Number.MAX_SAFE_INTEGER) throw new MoneyOverflow();
  }
  return total as MinorUnits;
}

/** The exact price of `quantity` (a whole number from 0) at `unitPrice`. Throws {@link MoneyOverflow} above 2^53-1. */
export function times(unitPrice: MinorUnits, quantity: number): MinorUnits {
  return asMinorUnits(unitPrice * quantity);
}

/** `12.34 GBP`, `1500 JPY`: for people. */
export function formatMoney(amount: MinorUnits, code: Currency): string {
  const places = decimalsOf(code);
  const digits = String(amount).padStart(places + 1, '0');
  return places === 0 ? `${digits} ${code}` : `${digits.slice(0, -places)}.${digits.slice(-places)} ${code}`;
}
