import type { JsonObject } from '@mercato/kit';
import { expect } from 'chai';
import { InventoryBench } from '../testing/bench.ts';

/** An event of shipping's, as its relay sends it. */
const news = (orderId: string, sequence: number, type = 'picked-up'): JsonObject => ({
  specversion: '1.0',
  id: `shop/checkout/${orderId}/${sequence}`,
  source: '/mercato/shipping',
  type: `dev.mercato.shipping.${type}`,
  subject: orderId,
  sequence: String(sequence),
  mercatonamespace: 'shop',
  mercatosaga: 'checkout',
  data: { bookingId: 'bk_1' },
});

describe('a pick-up', () => {
  let ignored: string[];
  let bench: InventoryBench;

  beforeEach(async () => {
    ignored = [];
    bench = new InventoryBench({ events: { onIgnored: (_, why) => ignored.push(why) } });
    await bench.warehouse('london', { mug: 5 });
    await bench.warehouse('leeds', { mug: 5 });
  });

  const tell = (...events: JsonObject[]) => bench.admin('post', '/events', { body: events as unknown as JsonObject });
  const order = async (orderId: string, mugs: number) => {
    const reserved = await bench.reserve(orderId, { mug: mugs });
    await bench.commit(orderId, reserved);
    return String(reserved.body['reservationId']);
  };
  const released = (orderId: string, reservationId: string) =>
    bench.send('release-stock', orderId, { reservationId }, 'commit-stock');

  it('ships what an order has committed, in every warehouse, and says so', async () => {
    await order('o', 7);
    expect(await tell(news('o', 1, 'booked'))).to.include({ unsubscribed: 1 });
    expect(await tell(news('o', 2))).to.include({ applied: 1 });
    expect(await tell(news('o', 3, 'delivered')), 'shipped as it is').to.include({ applied: 1 });
    const levels = [await bench.level('london', 'mug'), await bench.level('leeds', 'mug')];
    expect(levels.map(({ onHand }) => Number(onHand)).reduce((a, b) => a + b)).to.equal(3);
    expect(levels.map(({ committed }) => committed)).to.deep.equal([0, 0]);
    const { balanced, totals } = await bench.service.check();
    expect([balanced, totals.onHand, totals.shipped]).to.deep.equal([true, 3, 7]);
    expect(ignored).to.deep.equal([]);
  });

  it('of an order that gave its goods up, or that is not known, changes nothing and is told once', async () => {
    const reservation = await order('undone', 2);
    await released('undone', reservation);
    expect(await tell(news('undone', 2), news('unknown', 2))).to.include({ applied: 0, ignored: 2 });
    expect(await tell(news('undone', 2))).to.include({ duplicate: 1 });
    expect(ignored).to.deep.equal([
      `nothing of undone is committed: ${reservation} is released`,
      'nothing of unknown is committed: it has no reservation here',
    ]);
    expect((await bench.service.check()).totals).to.include({ onHand: 10, shipped: 0 });
  });

  it('of goods that a count did not find waits for a person, and holds up no other order', async () => {
    await order('short', 4);
    await bench.admin('post', '/adjustments', {
      body: { adjustmentId: 'count', warehouse: 'london', sku: 'mug', type: 'counted', quantity: 1, reason: 'count' },
    });
    await bench.admin('post', '/adjustments', {
      body: { adjustmentId: 'count-2', warehouse: 'leeds', sku: 'mug', type: 'counted', quantity: 1, reason: 'count' },
    });
    await bench.warehouse('york', { plate: 1 });
    await bench.commit('other', await bench.reserve('other', { plate: 1 }));
    expect(await tell(news('short', 2), news('other', 2))).to.include({ applied: 1, ignored: 1 });
    expect(ignored.join()).to.match(
      /^of 4 mug picked up in \w+ 1 are on hand: .*POST \/orders\/shop\/checkout\/short\/ship$/,
    );
    expect((await bench.service.check()).balanced).to.equal(true);

    for (const warehouse of ['london', 'leeds'])
      await bench.admin('post', '/adjustments', {
        body: {
          adjustmentId: `found-${warehouse}`,
          warehouse,
          sku: 'mug',
          type: 'counted',
          quantity: 5,
          reason: 'found',
        },
      });
    const params = { namespace: 'shop', saga: 'checkout', orderId: 'short' };
    const { reservations } = await bench.admin<{ reservations: { state: string }[] }>(
      'post',
      '/orders/{namespace}/{saga}/{orderId}/ship',
      { params },
    );
    expect(reservations.map(({ state }) => state)).to.deep.equal(['shipped']);
  });
});
