import { checkedInput } from '@mercato/operator/intake/input.ts';
import { IntakeRefused } from '@mercato/operator/intake/intake.ts';
import { readRequest, totalOf } from '@mercato/order/domain/terms.ts';
import { expect } from 'chai';
import fc from 'fast-check';

/** Whether the order service takes it, and whether a run can be made of it. */
function verdicts(body: unknown): { readonly order: boolean; readonly run: boolean } {
  const read = readRequest(body);
  const order = read.ok && 'total' in totalOf(read.request);
  try {
    checkedInput(body);
    return { order, run: true };
  } catch (error) {
    if (!(error instanceof IntakeRefused)) throw error;
    return { order, run: false };
  }
}

const good = {
  customer: 'customer-1',
  currency: 'GBP',
  lines: [{ sku: '85123a', quantity: 6, unitPrice: 255 }],
  paymentToken: 'tok_1',
  shipTo: { line1: '1 High Street', country: 'GB' },
};

/** Texts around a limit, of characters that are allowed and of others. */
const around = (limit: number) =>
  fc.oneof(
    fc.integer({ min: Math.max(0, limit - 1), max: limit + 1 }).map((length) => 'a'.repeat(length)),
    fc.string({ maxLength: limit + 1 }),
    fc.string({ maxLength: 20, unit: fc.constantFrom('a', 'Z', '9', ' ', '-', '.', '_', ':', '@', '\n') }),
  );
const count = (limit: number) => fc.oneof(fc.constantFrom(-1, 0, 1, limit, limit + 1, 0.5), fc.nat(limit));
const line = fc.record({ sku: around(32), quantity: count(1_000_000), unitPrice: count(1_000_000_000_000) });
const lines = fc.oneof(
  fc.array(line, { maxLength: 3 }),
  fc
    .constantFrom(0, 1, 50, 51, 100, 101)
    .map((length) => Array(length).fill({ sku: 'a'.repeat(32), quantity: 1, unitPrice: 1 })),
  fc.constantFrom(99, 100, 101).map((length) => Array(length).fill({ sku: 'a'.repeat(16), quantity: 1, unitPrice: 1 })),
);
const place = (limit: number) => fc.option(around(limit), { nil: undefined });
const shipTo = fc.record({
  name: place(64),
  line1: place(64),
  line2: place(64),
  city: place(64),
  region: place(32),
  postcode: place(16),
  country: fc.oneof(fc.constantFrom('GB', 'gb', 'G', 'GBR', ''), around(2)),
});
const token = fc.oneof(
  around(64),
  fc.constantFrom('4242424242424242', '4242 4242 4242 4242', '424242424242', '42424242424'),
);
const fields: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  customer: around(64),
  currency: fc.oneof(fc.constantFrom('GBP', 'gbp', 'GB', 'GBPX'), around(3)),
  lines,
  paymentToken: token,
  shipTo,
};

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('What the order service accepts', () => {
  for (const [field, values] of Object.entries(fields))
    it(`is what a run can be made of, and all of it: ${field}`, () => {
      let taken = 0;
      fc.assert(
        fc.property(values, (value) => {
          const { order, run } = verdicts(plain({ ...good, [field]: value }));
          expect(order).to.equal(run);
          if (order) taken++;
        }),
        { numRuns: 400 },
      );
      expect(taken, 'the samples have good ones').to.be.greaterThan(0);
    });

  it('has every field that a run needs', () => {
    for (const field of Object.keys(good)) {
      const { [field as keyof typeof good]: _left, ...rest } = good;
      expect(verdicts(rest), field).to.deep.equal({ order: false, run: false });
    }
    expect(verdicts(good)).to.deep.equal({ order: true, run: true });
  });

  it('is less than a run takes only where a field would be lost', () => {
    expect(verdicts({ ...good, colour: 'red' })).to.deep.equal({ order: false, run: true });
  });
});
