import { minutes, ProblemError, seconds } from '@mercato/kit';
import { expect } from 'chai';
import { InventoryBench } from '../testing/bench.ts';

const ship = (bench: InventoryBench, orderId: string) =>
  bench.admin('post', '/orders/{namespace}/{saga}/{orderId}/ship', {
    params: { namespace: 'shop', saga: 'checkout', orderId },
  });
const events = (bench: InventoryBench) =>
  bench.database
    .prepare('SELECT event FROM outbox ORDER BY position')
    .all()
    .map((row) => JSON.parse(String(row['event'])) as { type: string; sequence: string; data: object });

describe('reserve-stock', () => {
  it('says until when, holds all lines or none, and tells the world', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 5, cup: 1 });
    const refused = await bench.reserve('order-1', { mug: 5, cup: 2 });
    expect(refused).to.deep.include({ status: 422 });
    expect(refused.body['detail']).to.equal('cup: 2 wanted, 1 available');
    expect(await bench.level('london', 'mug')).to.include({ reserved: 0 });
    expect(events(bench)).to.deep.equal([]);

    const held = await bench.reserve('order-2', { mug: 5, cup: 1 });
    expect(held.body['expiresAt']).to.equal('2026-11-22T12:15:00.000Z');
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 5, reserved: 5, committed: 0, available: 0 });
    expect(events(bench)).to.have.length(1);
    expect(events(bench)[0]).to.deep.include({
      type: 'dev.mercato.inventory.reserved',
      sequence: '1',
      data: {
        reservationId: held.body['reservationId'],
        lines: [
          { warehouse: 'london', sku: 'cup', quantity: 1 },
          { warehouse: 'london', sku: 'mug', quantity: 5 },
        ],
        expiresAt: '2026-11-22T12:15:00.000Z',
      },
    });
  });

  it('knows a SKU that it is out of from one that nobody has heard of', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    await bench.reserve('order-1', { mug: 1 });
    expect((await bench.reserve('order-2', { mug: 1 })).body['reason']).to.equal('OutOfStock');
    expect((await bench.reserve('order-3', { mugg: 1 })).body['reason']).to.equal('UnknownSku');
  });

  it('keeps the safety stock back, of the SKU where it has its own', async () => {
    const bench = new InventoryBench();
    const policy = { policy: { safetyStock: 2 }, overrides: [{ sku: 'cup', safetyStock: 0 }] };
    await bench.warehouse('london', { mug: 5, cup: 5 }, policy);
    expect((await bench.reserve('order-1', { mug: 4 })).body['reason']).to.equal('OutOfStock');
    expect((await bench.reserve('order-2', { mug: 3, cup: 5 })).status).to.equal(200);
  });

  it('splits over warehouses, and commit-stock names them', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 2 }, { priority: 2 });
    await bench.warehouse('leeds', { mug: 2 }, { priority: 1 });
    const held = await bench.reserve('order-1', { mug: 3 });
    expect((await bench.commit('order-1', held)).body).to.deep.equal({ warehouses: 'leeds,london' });
    expect(await bench.level('leeds', 'mug')).to.include({ committed: 2 });
    expect(await bench.level('london', 'mug')).to.include({ committed: 1 });
  });

  it('refuses an order that would come from more warehouses than fit into an output', async () => {
    const bench = new InventoryBench();
    for (let index = 0; index < 21; index += 1) await bench.warehouse(`w${index}`, { mug: 1 });
    expect((await bench.reserve('order-1', { mug: 21 })).body['reason']).to.equal('OutOfStock');
    expect((await bench.reserve('order-2', { mug: 20 })).status).to.equal(200);
  });

  it('takes the nearest warehouse when told to', async () => {
    const bench = new InventoryBench({ strategy: 'nearest' });
    await bench.warehouse('london', { mug: 9 }, { location: { country: 'GB' } });
    await bench.warehouse('berlin', { mug: 9 }, { location: { country: 'DE' } });
    await bench.reserve('order-1', { mug: 1 }, { country: 'PL' });
    expect(await bench.level('berlin', 'mug')).to.include({ reserved: 1 });
  });
});

describe('a reservation', () => {
  it('expires: the goods are free again, the world is told, and it cannot be committed', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    const held = await bench.reserve('order-1', { mug: 1 });
    bench.clock.advance(minutes(15));
    expect(await bench.service.expire()).to.equal(1);
    expect(await bench.service.expire()).to.equal(0);
    expect(await bench.level('london', 'mug')).to.include({ reserved: 0, available: 1 });
    expect(events(bench).at(-1)).to.deep.include({ type: 'dev.mercato.inventory.expired', sequence: '2' });
    expect((await bench.commit('order-1', held)).body['reason']).to.equal('ReservationExpired');
  });

  it('cannot be committed after its time although nobody has swept it yet', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    const held = await bench.reserve('order-1', { mug: 1 });
    bench.clock.advance(minutes(15));
    expect((await bench.commit('order-1', held)).body['reason']).to.equal('ReservationExpired');
    await bench.service.expire();
    expect((await bench.service.check()).balanced).to.equal(true);
  });

  it('that was committed in time never expires', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    const held = await bench.reserve('order-1', { mug: 1 });
    bench.clock.advance(seconds(899));
    expect((await bench.commit('order-1', held)).status).to.equal(200);
    bench.clock.advance(minutes(100_000));
    expect(await bench.service.expire()).to.equal(0);
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 1, reserved: 0, committed: 1, available: 0 });
  });

  it('of another order cannot be committed or released', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    const held = await bench.reserve('order-1', { mug: 1 });
    expect((await bench.commit('order-2', held)).body['reason']).to.equal('ReservationUnknown');
    await bench.send('release-stock', 'order-2', { reservationId: held.body['reservationId'] }, 'commit-stock');
    expect(await bench.level('london', 'mug')).to.include({ reserved: 1 });
  });

  it('that was released cannot be committed', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    const held = await bench.reserve('order-1', { mug: 1 });
    const body = { lines: [{ sku: 'mug', quantity: 1 }], shipTo: { country: 'GB' } };
    expect((await bench.send('release-stock', 'order-1', body, 'reserve-stock')).body).to.deep.equal({
      released: true,
    });
    expect((await bench.commit('order-1', held)).body['reason']).to.equal('ReservationUnknown');
  });
});

describe('release-stock', () => {
  it('gives committed goods up with the first of the two compensations, and finds nothing to do with the second', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 3 });
    const held = await bench.reserve('order-1', { mug: 2 });
    await bench.commit('order-1', held);
    const first = await bench.send(
      'release-stock',
      'order-1',
      { reservationId: held.body['reservationId'] },
      'commit-stock',
    );
    expect(first.body).to.deep.equal({ released: true });
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 3, reserved: 0, committed: 0, available: 3 });
    const body = { lines: [{ sku: 'mug', quantity: 2 }], shipTo: { country: 'GB' } };
    const second = await bench.send('release-stock', 'order-1', body, 'reserve-stock');
    expect(second).to.deep.include({ status: 200, body: { released: false } });
    expect((await bench.service.check()).balanced).to.equal(true);
  });

  it('changes nothing for a commit that never arrived', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    const held = await bench.reserve('order-1', { mug: 1 });
    await bench.send('release-stock', 'order-1', { reservationId: held.body['reservationId'] }, 'commit-stock');
    expect(await bench.level('london', 'mug')).to.include({ reserved: 1 });
    expect((await bench.commit('order-1', held)).body['reason']).to.equal('Fenced');
  });

  it('cannot bring back what the carrier has', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    const held = await bench.reserve('order-1', { mug: 1 });
    await bench.commit('order-1', held);
    await ship(bench, 'order-1');
    const answer = await bench.send(
      'release-stock',
      'order-1',
      { reservationId: held.body['reservationId'] },
      'commit-stock',
    );
    expect(answer).to.deep.include({ status: 422 });
    expect(answer.body['reason']).to.equal('AlreadyShipped');
  });
});

describe('shipping', () => {
  it('takes committed goods off on hand, once', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 5 });
    await bench.commit('order-1', await bench.reserve('order-1', { mug: 2 }));
    const first = await ship(bench, 'order-1');
    expect(await ship(bench, 'order-1')).to.deep.equal(first);
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 3, reserved: 0, committed: 0, available: 3 });
    const { balanced, totals } = await bench.service.check();
    expect({ balanced, received: totals.received, onHand: totals.onHand, shipped: totals.shipped }).to.deep.equal({
      balanced: true,
      received: 5,
      onHand: 3,
      shipped: 2,
    });
  });

  it('refuses what is only reserved', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 5 });
    await bench.reserve('order-1', { mug: 2 });
    const error = await ship(bench, 'order-1').catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ProblemError);
    expect((error as ProblemError).problem).to.include({ status: 409, reason: 'NotCommitted' });
  });
});
