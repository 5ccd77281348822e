import { expect } from 'chai';
import fc from 'fast-check';
import type { Milliseconds } from '../api/durations.ts';
import { conductOf, SimulatedSupplier, schedule } from './simulator.ts';
import type { SupplyOrder } from './supplier.ts';

const BEGAN = Date.UTC(2026, 10, 22);
const suppliers = fc.constantFrom(
  'potteries',
  'x-parts',
  'x-late',
  'x-short',
  'x-over',
  'x-parts-late-short',
  'x-over-parts',
);
const orders: fc.Arbitrary<SupplyOrder> = fc.record({
  orderId: fc.string({ minLength: 1, maxLength: 20 }),
  supplier: suppliers,
  lines: fc.uniqueArray(
    fc.record({ sku: fc.string({ minLength: 1, maxLength: 4 }), quantity: fc.integer({ min: 1, max: 1000 }) }),
    { minLength: 1, maxLength: 20, selector: ({ sku }) => sku },
  ),
  leadTime: fc.integer({ min: 0, max: 10_000_000 }).map((ms) => ms as Milliseconds),
});

function sums(order: SupplyOrder): Map<string, number> {
  const all = new Map<string, number>();
  for (const { sku, quantity } of schedule(order, BEGAN).deliveries.flatMap(({ lines }) => lines)) {
    all.set(sku, (all.get(sku) ?? 0) + quantity);
  }
  return all;
}

describe('the simulated supplier', () => {
  it('delivers in parts that add up to the order, unless it is one that sends more or less', () => {
    fc.assert(
      fc.property(orders, (order) => {
        const { short, over } = conductOf(order.supplier);
        const came = sums(order);
        for (const { sku, quantity } of order.lines) {
          const got = came.get(sku) ?? 0;
          if (short && quantity > 1) expect(got).to.be.within(1, quantity - 1);
          else if (over) expect(got).to.be.greaterThan(quantity);
          else expect(got).to.equal(quantity);
        }
      }),
    );
  });

  it('has no memory: asked at any time, it says the same deliveries, in order, and one day all of them', async () => {
    const supplier = new SimulatedSupplier();
    await fc.assert(
      fc.asyncProperty(orders, fc.array(fc.integer({ min: 0, max: 20_000_000 })), async (order, times) => {
        const placed = { ...order, reference: 'r', orderedAt: BEGAN };
        const all = schedule(order, BEGAN).deliveries;
        let known = 0;
        for (const time of [...times.sort((a, b) => a - b), 20_000_000]) {
          const { deliveries, complete, shipped, nextAt } = await supplier.progress(placed, BEGAN + time);
          expect(deliveries).to.deep.equal(
            all.slice(0, deliveries.length).map(({ number, lines }) => ({ number, lines })),
          );
          expect(deliveries.length).to.be.at.least(known);
          expect(complete).to.equal(nextAt === undefined);
          if (deliveries.length > 0) expect(shipped).to.equal(true);
          if (nextAt !== undefined) expect(nextAt).to.be.greaterThan(BEGAN + time);
          known = deliveries.length;
        }
        expect(known).to.equal(all.length);
        expect(all.map(({ number }) => number)).to.deep.equal(all.map((_, index) => index + 1));
        for (const { lines } of all) for (const { quantity } of lines) expect(quantity).to.be.at.least(1);
      }),
    );
  });

  it('takes an order back until the goods have left, and not after', async () => {
    const supplier = new SimulatedSupplier();
    const order = { orderId: 'shop/a', supplier: 'potteries', lines: [{ sku: 'MUG', quantity: 4 }] };
    const placed = { ...order, leadTime: 1000 as Milliseconds, reference: 'r', orderedAt: BEGAN };
    expect(await supplier.cancel(placed, BEGAN + 249)).to.equal(true);
    expect(await supplier.cancel(placed, BEGAN + 250)).to.equal(false);
    expect((await supplier.progress(placed, BEGAN + 250)).shipped).to.equal(true);
  });

  it('is late when its name says so', () => {
    const order = { orderId: 'a', lines: [{ sku: 'MUG', quantity: 4 }], leadTime: 1000 as Milliseconds };
    const { expectedAt, deliveries } = schedule({ ...order, supplier: 'slow-late' }, BEGAN);
    expect(deliveries.at(-1)?.at).to.equal(BEGAN + 1500);
    expect(expectedAt).to.equal(BEGAN + 1000);
  });
});
