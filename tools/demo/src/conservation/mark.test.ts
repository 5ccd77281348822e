import { expect } from 'chai';
import { checkConservation } from '../conservation.ts';
import { ofPlay } from './mark.ts';
import type { Observations } from './observations.ts';

/** Of two plays on the same stores: an order with its goods and its capture in each. */
function seenOf(marks: readonly string[]): Observations {
  const all = <T>(one: (mark: string, key: string, sku: string) => readonly T[]): T[] =>
    marks.flatMap((mark) => one(mark, `shop/checkout/${mark}-order-1`, `${mark}-MUG`));
  return {
    at: 0,
    accepted: all((_, key, sku) => [
      { key, total: 5, currency: 'GBP', lines: [{ sku, quantity: 1, unitPrice: 5 }] },
    ]) as unknown as Observations['accepted'],
    runs: all((_, key) => [{ key, phase: 'Succeeded', givenUp: [] }]),
    acquirer: all((mark, orderKey) => [
      {
        operation: 'authorise',
        reference: `${mark}-a`,
        orderKey,
        outcome: 'approved',
        id: `${mark}-1`,
        amount: 5,
        currency: 'GBP',
      },
      {
        operation: 'capture',
        reference: `${mark}-c`,
        orderKey,
        outcome: 'approved',
        id: `${mark}-2`,
        target: `${mark}-1`,
        amount: 5,
        currency: 'GBP',
      },
    ]),
    carrier: all((mark, orderKey) => [
      { operation: 'book', outcome: 'booked', reference: `${mark}-b`, orderKey, id: `${mark}-3`, units: 1 },
    ]),
    exceptions: [],
    stock: {
      levels: all((_, __, sku) => [{ warehouse: 'leeds', sku, onHand: 1, reserved: 0, committed: 1 }]),
      movements: all((mark, _, sku) => [
        { warehouse: 'leeds', sku, type: 'received', quantity: 1, reference: `${mark}-in` },
        { warehouse: 'leeds', sku, type: 'reserved', quantity: 1, reference: `${mark}-r` },
        { warehouse: 'leeds', sku, type: 'committed', quantity: 1, reference: `${mark}-r` },
      ]),
      reservations: all((mark, key, sku) => [
        { id: `${mark}-r`, key, state: 'committed', parts: [{ warehouse: 'leeds', sku, quantity: 1 }] },
      ]),
    },
  };
}

describe('one play among several on the same stores', () => {
  /** As the second play's client tells it: of the first it knows the stores' memory, not the orders. */
  const second = (): Observations => {
    const both = seenOf(['aa', 'aab']);
    return { ...both, accepted: both.accepted.filter(({ key }) => key.includes('/aab-')) };
  };

  it('is conserved although the stores remember the other, whose orders nobody here knows', () => {
    expect(checkConservation(second()).map(({ rule }) => rule)).to.include('effect-of-an-order');
    expect(checkConservation(ofPlay(second(), 'aab'))).to.deep.equal([]);
  });

  it('is not excused by the other: what it lost is found', () => {
    const { acquirer, ...rest } = second();
    const lost = acquirer.filter(({ operation, orderKey }) => operation !== 'capture' || !orderKey.includes('/aab-'));
    const found = checkConservation(ofPlay({ ...rest, acquirer: lost }, 'aab'));
    expect(found.map(({ rule, order }) => [rule, order])).to.deep.include([
      'captured-exactly',
      'shop/checkout/aab-order-1',
    ]);
  });

  /** As the second play placed its order with the order service: its id has no mark, its goods have. */
  const placed = (): Observations => {
    const renamed = JSON.stringify(second()).replaceAll('aab-order-1', 'o01m82');
    return JSON.parse(renamed) as Observations;
  };

  it('knows the orders that it placed by its log, whatever their ids', () => {
    expect(checkConservation(ofPlay(placed(), 'aab'))).to.deep.equal([]);
    const { carrier, ...rest } = placed();
    const lost = ofPlay({ ...rest, carrier: carrier.filter(({ orderKey }) => !orderKey.endsWith('/o01m82')) }, 'aab');
    expect(checkConservation(lost).map(({ rule }) => rule)).to.deep.equal(['shipped-exactly']);
  });

  it('knows an order that nobody placed by the goods that it took', () => {
    const invented = ofPlay({ ...placed(), accepted: [] }, 'aab');
    expect(checkConservation(invented).map(({ rule, order }) => [rule, order])).to.deep.include([
      'run-of-an-order',
      'shop/checkout/o01m82',
    ]);
  });

  it('takes no mark for the beginning of another', () => {
    expect(ofPlay({ ...second(), accepted: [] }, 'aa').runs.map(({ key }) => key)).to.deep.equal([
      'shop/checkout/aa-order-1',
    ]);
  });
});
