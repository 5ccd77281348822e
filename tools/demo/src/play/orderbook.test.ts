import type { OrderId } from '@mercato/operator/api/names.ts';
import { expect } from 'chai';
import type { SourcedOrder } from '../intake/collect.ts';
import { fateOf } from './fates.ts';
import { orderBook, planned } from './orderbook.ts';
import { openingStock } from './stockplan.ts';

const sourced = (orderId: string, at: number): SourcedOrder => ({
  orderId: orderId as OrderId,
  at,
  customer: '17850',
  currency: 'GBP',
  country: 'GB',
  lines: [{ sku: 'A', quantity: 2, unitPrice: 100, refs: [2] }],
});

describe('the order book', () => {
  it('follows from its seed', () => {
    expect(orderBook('a', 50)).to.deep.equal(orderBook('a', 50));
    expect(orderBook('a', 50)).not.to.deep.equal(orderBook('b', 50));
  });

  it('is a day of orders that the API takes, in the order of their times', () => {
    const orders = orderBook('a', 400);
    expect(new Set(orders.map(({ orderId }) => orderId)).size).to.equal(400);
    expect(orders.map(({ atMs }) => atMs)).to.deep.equal(orders.map(({ atMs }) => atMs).sort((a, b) => a - b));
    for (const { input, atMs } of orders) {
      expect(atMs).to.be.within(8 * 3_600_000, 22 * 3_600_000);
      expect(input.lines.length).to.be.within(1, 5);
      expect(input.paymentToken).to.match(/^tok_[a-z_]+-order-\d+$/);
      for (const line of input.lines) expect(line.quantity).to.be.within(1, 6);
    }
  });

  it('has orders that fail in each way, and mostly orders that do not', () => {
    const fates = orderBook('a', 2_000).map(({ orderId }) => fateOf('a', orderId));
    const part = (isSo: (fate: (typeof fates)[number]) => boolean) => fates.filter(isSo).length / fates.length;
    expect(part(({ token }) => /^tok_(visa|mastercard)-/.test(token))).to.be.within(0.85, 0.95);
    expect(part(({ token }) => token.startsWith('tok_declined-'))).to.be.within(0.015, 0.05);
    expect(part(({ token }) => token.startsWith('tok_capture_declined-'))).to.be.above(0);
    expect(part(({ address }) => address === 'sim:undeliverable')).to.be.above(0);
    const isQuick = ({ address }: (typeof fates)[number]) => address === 'sim:quick_pickup';
    expect(part((fate) => isQuick(fate) && fate.token.startsWith('tok_visa-'))).to.be.within(0.015, 0.05);
    expect(part((fate) => isQuick(fate) && fate.token.startsWith('tok_capture_declined-'))).to.be.above(0);
  });
});

describe('the orders of a file', () => {
  it('are played in the order of their times, with the nights cut short', () => {
    const day = 86_400_000;
    const orders = planned('a', [sourced('3', day + 60_000), sourced('1', 0), sourced('2', 60_000)]);
    expect(orders.map(({ orderId, atMs }) => [orderId, atMs])).to.deep.equal([
      ['1', 0],
      ['2', 60_000],
      ['3', 960_000],
    ]);
    expect(orders[0]?.input.lines).to.deep.equal([{ sku: 'A', quantity: 2, unitPrice: 100 }]);
  });

  it('get the same token and address in each play of a seed', () => {
    const orders = Array.from({ length: 50 }, (_, i) => sourced(String(i), i));
    expect(planned('a', orders)).to.deep.equal(planned('a', orders));
    expect(planned('a', orders)).not.to.deep.equal(planned('b', orders));
  });
});

describe('the opening stock', () => {
  const orders = orderBook('a', 400);
  const warehouses = [
    { id: 'leeds', share: 2 },
    { id: 'rotterdam', share: 1 },
  ];
  const ordered = (sku: string) =>
    orders.reduce(
      (sum, { input }) => sum + input.lines.reduce((of, line) => of + (line.sku === sku ? line.quantity : 0), 0),
      0,
    );
  const stocked = (stock: ReturnType<typeof openingStock>, sku: string) =>
    stock.reduce((sum, each) => sum + (each.sku === sku ? each.quantity : 0), 0);

  it('is enough for every order if nothing is scarce, and shared out over the warehouses', () => {
    const stock = openingStock('a', orders, { warehouses, scarce: 0 });
    for (const sku of new Set(stock.map((each) => each.sku))) expect(stocked(stock, sku)).to.be.at.least(ordered(sku));
    const leeds = stock.filter(({ warehouse }) => warehouse === 'leeds').reduce((sum, each) => sum + each.quantity, 0);
    const all = stock.reduce((sum, each) => sum + each.quantity, 0);
    expect(leeds / all).to.be.within(0.6, 0.72);
  });

  it('has more where a policy keeps some back', () => {
    const [bare] = openingStock('a', orders, { warehouses: [{ id: 'leeds', share: 1 }] });
    const [kept] = openingStock('a', orders, { warehouses: [{ id: 'leeds', share: 1, safetyStock: 5 }] });
    expect(kept?.quantity).to.equal((bare?.quantity ?? 0) + 5);
  });

  it('is less than what is ordered of what is scarce', () => {
    const stock = openingStock('a', orders, { warehouses, scarce: 1 });
    for (const sku of new Set(stock.map((each) => each.sku)))
      expect(stocked(stock, sku)).to.be.at.most(Math.ceil(ordered(sku) * 0.6));
  });

  it('has an id for each receipt that says where and what, so that a repeat is known', () => {
    const stock = openingStock('a', orders, { warehouses });
    expect(new Set(stock.map(({ adjustmentId }) => adjustmentId)).size).to.equal(stock.length);
    expect(openingStock('a', orders, { warehouses })).to.deep.equal(stock);
    for (const { adjustmentId, quantity } of stock) {
      expect(adjustmentId).to.match(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/);
      expect(quantity).to.be.above(0);
    }
  });
});
