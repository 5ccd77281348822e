import { expect } from 'chai';
import fc from 'fast-check';
import {
  asCurrency,
  asMinorUnits,
  decimalsOf,
  formatMoney,
  MoneyOverflow,
  sum,
  times,
  UnknownCurrency,
} from './money.ts';

const amount = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }).map(asMinorUnits);

describe('money', () => {
  it('adds up exactly, or says that it cannot', () => {
    fc.assert(
      fc.property(fc.array(amount, { maxLength: 5 }), (amounts) => {
        const exact = amounts.reduce((total, value) => total + BigInt(value), 0n);
        if (exact > BigInt(Number.MAX_SAFE_INTEGER)) expect(() => sum(amounts)).to.throw(MoneyOverflow);
        else expect(BigInt(sum(amounts))).to.equal(exact);
      }),
    );
  });

  it('multiplies exactly, or says that it cannot', () => {
    fc.assert(
      fc.property(amount, fc.nat(1_000_000), (price, quantity) => {
        const exact = BigInt(price) * BigInt(quantity);
        if (exact > BigInt(Number.MAX_SAFE_INTEGER)) expect(() => times(price, quantity)).to.throw(MoneyOverflow);
        else expect(BigInt(times(price, quantity))).to.equal(exact);
      }),
    );
  });

  it('stops at 2^53-1, where the next amount would be another one’s', () => {
    const most = asMinorUnits(Number.MAX_SAFE_INTEGER);
    expect(sum([most, asMinorUnits(0)])).to.equal(most);
    expect(() => sum([most, asMinorUnits(1)])).to.throw(MoneyOverflow, 'split it');
    expect(() => asMinorUnits(2 ** 53)).to.throw(MoneyOverflow);
  });

  it('is whole and not negative', () => {
    for (const value of [-1, 0.1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => asMinorUnits(value), String(value)).to.throw(RangeError);
  });

  it('knows the minor units of ISO 4217', () => {
    const decimals = ['GBP', 'EUR', 'USD', 'JPY', 'KRW', 'ISK', 'KWD', 'TND'].map((code) =>
      decimalsOf(asCurrency(code)),
    );
    expect(decimals).to.deep.equal([2, 2, 2, 0, 0, 0, 3, 3]);
    for (const code of ['gbp', 'XXX', 'XTS', 'DEM', 'EURO', ''])
      expect(() => asCurrency(code), code).to.throw(UnknownCurrency, 'ISO 4217');
  });

  it('is shown with the decimals of its currency', () => {
    const shown = ([value, code]: readonly [number, string]) => formatMoney(asMinorUnits(value), asCurrency(code));
    expect(
      (
        [
          [1234, 'GBP'],
          [5, 'GBP'],
          [1500, 'JPY'],
          [1, 'KWD'],
          [0, 'EUR'],
        ] as const
      ).map(shown),
    ).to.deep.equal(['12.34 GBP', '0.05 GBP', '1500 JPY', '0.001 KWD', '0.00 EUR']);
  });
});
