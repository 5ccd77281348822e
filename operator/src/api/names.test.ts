import { expect } from 'chai';
import fc from 'fast-check';
import {
  asNamespace,
  asOrderId,
  asSagaName,
  asSku,
  asStepName,
  asWarehouseId,
  formatRunKey,
  InvalidName,
  parseRunKey,
  runObjectName,
} from './names.ts';
import { DNS_LABEL, SKU } from './schema.ts';

const label = (maxLength: number) =>
  fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/).filter((text) => text.length <= maxLength);
const key = fc.record({
  namespace: label(63).map(asNamespace),
  saga: label(40).map(asSagaName),
  orderId: label(40).map(asOrderId),
});

describe('names', () => {
  it('keys of runs read back as they were written', () => {
    fc.assert(
      fc.property(key, (run) => {
        expect(parseRunKey(formatRunKey(run))).to.deep.equal(run);
      }),
    );
  });

  it('keys tell runs apart whose objects would have one name', () => {
    const namespace = asNamespace('shop');
    const runs = (
      [
        ['a', 'b-c'],
        ['a-b', 'c'],
      ] as const
    ).map(([saga, order]) => ({ namespace, saga: asSagaName(saga), orderId: asOrderId(order) }));
    expect(new Set(runs.map((run) => runObjectName(run.saga, run.orderId))).size).to.equal(1);
    expect(new Set(runs.map(formatRunKey)).size).to.equal(2);
  });

  it('refuses keys that are none', () => {
    for (const text of ['', 'a/b', 'a/b/c/d', 'a//c', 'A/b/c', 'a/b/c/', `a/${'b'.repeat(41)}/c`]) {
      expect(() => parseRunKey(text), text).to.throw(InvalidName);
    }
  });

  it('takes labels of the length that each kind of name may have', () => {
    for (const [as, length] of [
      [asOrderId, 40],
      [asSagaName, 40],
      [asStepName, 40],
      [asWarehouseId, 40],
      [asNamespace, 63],
    ] as const) {
      expect(as('a'.repeat(length))).to.have.lengthOf(length);
      expect(() => as('a'.repeat(length + 1))).to.throw(InvalidName, `at most ${length} characters`);
      for (const text of ['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a/b', 'ä'])
        expect(() => as(text), text).to.throw(InvalidName, 'lower-case DNS label');
    }
  });

  it('agrees with the schemas', () => {
    const takes = (as: (text: string) => string, text: string): boolean => {
      try {
        return as(text) === text;
      } catch {
        return false;
      }
    };
    const candidate = fc.string({
      unit: fc.constantFrom('a', 'Z', '0', '-', '.', '_', ' ', '/', 'é'),
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(fc.property(candidate, (text) => takes(asOrderId, text) === new RegExp(DNS_LABEL.pattern).test(text)));
    fc.assert(fc.property(candidate, (text) => takes(asSku, text) === new RegExp(SKU.pattern).test(text)));
  });

  it('names a run’s object after saga and order', () => {
    expect(runObjectName(asSagaName('checkout'), asOrderId('order-1001'))).to.equal('checkout-order-1001');
  });
});
