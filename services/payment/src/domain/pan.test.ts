import { expect } from 'chai';
import fc from 'fast-check';
import { findPan, looksLikePan, luhn, namesPan } from './pan.ts';

/** Numbers that card schemes publish for tests. */
const PUBLISHED = [
  '4242424242424242',
  '4111111111111111',
  '5555555555554444',
  '2223003122003222',
  '378282246310005',
  '6011111111111117',
  '30569309025904',
  '3530111333300000',
  '6200000000000005',
];

describe('card numbers', () => {
  it('finds the published test numbers, plain, in a text, grouped, and glued to letters', () => {
    for (const pan of PUBLISHED) {
      expect(looksLikePan(pan), pan).to.equal(true);
      expect(looksLikePan(`my card is ${pan}, thanks`), pan).to.equal(true);
      expect(looksLikePan(`tok_${pan}`), pan).to.equal(true);
      expect(looksLikePan(`card${pan}x`), pan).to.equal(true);
    }
    for (const grouped of ['4242 4242 4242 4242', '4111-1111-1111-1111', '3782 822463 10005', '3056 930902 5904']) {
      expect(looksLikePan(grouped), grouped).to.equal(true);
    }
  });

  it('leaves what is none: a wrong check digit, too few or too many digits, dates, ids, amounts', () => {
    const none = [
      '4242424242424241',
      '42424242424',
      '42424242424242424242',
      '2026-11-22T12:00:00.000Z',
      '20261122-536365',
      'order-536365',
      '1530',
      'tok_visa',
      '+44 20 7946 0958',
    ];
    for (const text of none) expect(looksLikePan(text), text).to.equal(false);
  });

  it('finds any 12 to 19 digits that satisfy Luhn, and none that do not', () => {
    const digits = fc.stringMatching(/^\d{11,18}$/);
    fc.assert(
      fc.property(digits, (start) => {
        const last = [...'0123456789'].find((digit) => luhn(start + digit)) ?? '';
        const wrong = String((Number(last) + 1) % 10);
        return looksLikePan(start + last) && !looksLikePan(start + wrong);
      }),
    );
  });

  it('takes no random UUID for a card number', () => {
    fc.assert(fc.property(fc.uuid(), (uuid) => !looksLikePan(uuid) && !looksLikePan(`${uuid}/x`)));
  });

  it('names the place in a value, and never the number', () => {
    expect(findPan({ a: [{ note: 'pay 4242424242424242' }] })).to.equal('$.a[0].note');
    expect(findPan({ total: 4242424242424242 })).to.equal('$.total');
    expect(findPan({ '4242424242424242': true })).to.equal('$.*');
    expect(luhn('120000000006')).to.equal(true);
    expect(findPan({ total: 120_000_000_006 }), 'an amount').to.equal(undefined);
    expect(findPan({ total: 1530, currency: 'GBP', token: 'tok_visa', none: null })).to.equal(undefined);
  });

  it('takes an order id of many digits for one only if a scheme issues such numbers', () => {
    expect(namesPan('shop/checkout/4242424242424242/pay/action')).to.equal(true);
    // Satisfies Luhn, as every tenth number does, but begins like a date.
    expect(luhn('20261122000007')).to.equal(true);
    expect(namesPan('shop/checkout/20261122000007/pay/action')).to.equal(false);
  });
});
