import { instant } from '@mercato/kit';
import { expect } from 'chai';
import fc from 'fast-check';
import { firstOrderIdAt, newOrderId, parseOrderId } from './ids.ts';

const moment = fc.integer({ min: 0, max: Date.UTC(3000, 0) }).map(instant);
const random = fc.uint8Array({ minLength: 10, maxLength: 10 });

describe('an order id', () => {
  it('is a DNS label of at most 40 characters, and known as ours', () => {
    fc.assert(
      fc.property(moment, random, (at, bits) => {
        const id = newOrderId(at, bits);
        expect(id)
          .to.match(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
          .and.have.length(27);
        expect(parseOrderId(id)).to.equal(id);
      }),
    );
  });

  it('sorts by when its order was placed', () => {
    fc.assert(
      fc.property(moment, moment, random, random, (a, b, first, second) => {
        if (a === b) return;
        expect(newOrderId(a, first) < newOrderId(b, second)).to.equal(a < b);
        expect(newOrderId(a, first) < firstOrderIdAt(b)).to.equal(a < b);
      }),
    );
  });

  it('holds all of its random bits', () => {
    fc.assert(
      fc.property(random, random, (first, second) => {
        const at = instant(0);
        const isSame = Buffer.compare(first, second) === 0;
        expect(newOrderId(at, first) === newOrderId(at, second)).to.equal(isSame);
      }),
    );
    const each = Array.from({ length: 80 }, (_, bit) => {
      const bits = new Uint8Array(10);
      bits[bit >> 3] = 1 << (bit & 7);
      return newOrderId(instant(0), bits);
    });
    expect(new Set(each).size).to.equal(80);
  });

  it('is not met twice', () => {
    const ids = Array.from({ length: 10_000 }, () => newOrderId(instant(0)));
    expect(new Set(ids).size).to.equal(ids.length);
  });

  for (const text of ['', 'o', 'order-1', 'O01m82c7j0n70txkt01r8nkhnsx', 'o01m82c7j0n70txkt01r8nkhnsu', 'a'.repeat(27)])
    it(`is not "${text}"`, () => expect(parseOrderId(text)).to.equal(undefined));
});
