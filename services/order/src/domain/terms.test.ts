import { expect } from 'chai';
import { request } from '../testing/samples.ts';
import { readRequest, totalOf } from './terms.ts';

const line = (change: object) => ({ lines: [{ sku: 'a', quantity: 1, unitPrice: 1, ...change }] });
const shipTo = (change: object) => ({ shipTo: { country: 'GB', ...change } });

describe('a request to place an order', () => {
  const good: [string, object][] = [
    ['a customer of 64 characters', { customer: 'c'.repeat(64) }],
    ['a token of 64 characters', { paymentToken: 't'.repeat(64) }],
    ['a free line', line({ unitPrice: 0 })],
    ['a line at its limits', line({ sku: 's'.repeat(32), quantity: 1_000_000, unitPrice: 1_000_000_000 })],
    ['an address at its limits', shipTo({ name: 'n'.repeat(64), region: 'r'.repeat(32), postcode: 'p'.repeat(16) })],
    ['100 lines', { lines: Array(100).fill({ sku: 'a', quantity: 1, unitPrice: 1 }) }],
  ];
  for (const [what, change] of good)
    it(`is taken with ${what}`, () => {
      const read = readRequest({ ...request(), ...change });
      expect(read.ok && totalOf(read.request)).to.have.property('total');
    });

  const bad: [string, object, string][] = [
    ['a customer of 65 characters', { customer: 'c'.repeat(65) }, '/customer'],
    ['a customer that is no id', { customer: 'a b' }, '/customer'],
    ['a currency in small letters', { currency: 'gbp' }, '/currency'],
    ['no line', { lines: [] }, '/lines'],
    ['101 lines', { lines: Array(101).fill({ sku: 'a', quantity: 1, unitPrice: 1 }) }, '/lines'],
    ['a SKU that is none', line({ sku: '-a' }), '/lines/0/sku'],
    ['a quantity of 0', line({ quantity: 0 }), '/lines/0/quantity'],
    ['half a piece', line({ quantity: 0.5 }), '/lines/0/quantity'],
    ['a negative price', line({ unitPrice: -1 }), '/lines/0/unitPrice'],
    ['a price as text', line({ unitPrice: '1' }), '/lines/0/unitPrice'],
    ['a field that lines do not have', line({ colour: 'red' }), '/lines/0/colour'],
    ['a field that addresses do not have', shipTo({ planet: 'Earth' }), '/shipTo/planet'],
    ['a country of three letters', shipTo({ country: 'GBR' }), '/shipTo/country'],
    ['a field that orders do not have', { cardNumber: '4242424242424242' }, '/cardNumber'],
    ['a token with a space', { paymentToken: 'tok 1' }, '/paymentToken'],
    ['a token of 65 characters', { paymentToken: 't'.repeat(65) }, '/paymentToken'],
  ];
  for (const [what, change, where] of bad)
    it(`is refused with ${what}, and says where`, () => {
      const read = readRequest({ ...request(), ...change });
      expect(read.ok).to.equal(false);
      expect(read.ok || read.detail).to.contain(where);
    });

  for (const body of [null, 1, 'text', [], {}])
    it(`is not ${JSON.stringify(body)}`, () => expect(readRequest(body).ok).to.equal(false));

  it('is refused with a card number for a token, which no message repeats', () => {
    for (const paymentToken of ['4242424242424242', '4242 4242 4242 4242', '4242-4242-4242-4242']) {
      const read = readRequest({ ...request(), paymentToken });
      expect(read.ok || read.detail)
        .to.contain('card number')
        .and.not.contain('4242');
    }
  });
});

describe('the total of an order', () => {
  const of = (...lines: [number, number][]) =>
    totalOf({ currency: 'GBP', lines: lines.map(([quantity, unitPrice]) => ({ sku: 'a', quantity, unitPrice })) });

  it('is the sum of its lines, up to 2^53-1 and no further', () => {
    expect(of([6, 255], [1, 339])).to.deep.equal({ total: 1869 });
    // 2^53-1 = 6361 * 69431 * 20394401
    expect(of([6361 * 69, 1_000_000_000_000])).to.include({ reason: 'TotalTooLarge' });
    const most = Number.MAX_SAFE_INTEGER;
    const half = Math.floor(most / 2 / 1_000_000);
    const rest = most - half * 1_000_000;
    const whole = Math.floor(rest / 1_000_000);
    const exact: [number, number][] = [
      [1_000_000, half],
      [1_000_000, whole],
      [1, rest - whole * 1_000_000],
    ];
    expect(of(...exact)).to.deep.equal({ total: most });
    expect(of(...exact, [1, 1])).to.include({ reason: 'TotalTooLarge' });
  });

  it('is not asked for in a currency that is not taken', () => {
    const refusal = totalOf(request({ currency: 'SEK' }), new Set(['GBP', 'EUR']));
    expect(refusal).to.include({ reason: 'CurrencyNotTaken' });
    expect(refusal).to.have.property('detail').which.contains('GBP, EUR');
    expect(totalOf(request(), new Set(['GBP']))).to.have.property('total');
  });

  it('is not made of SKUs of more than 1600 characters together', () => {
    const lines = (count: number) => Array(count).fill({ sku: 's'.repeat(32), quantity: 1, unitPrice: 1 });
    expect(totalOf(request({ lines: lines(50) }))).to.have.property('total');
    expect(totalOf(request({ lines: lines(51) }))).to.include({ reason: 'SkusTooLong' });
  });
});
