import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Answer, minutes, openDatabase } from '@mercato/kit';
import { expect } from 'chai';
import fc from 'fast-check';
import { InventoryBench } from './testing/bench.ts';
import type { RivalTask } from './testing/reserver.ts';

const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status).sort();
const succeededIn = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200).length;

async function onFile(work: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'mercato-oversell-'));
  try {
    await work(join(directory, 'inventory.sqlite'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Lets threads reserve at the same time; returns how many orders got goods in all. */
async function race(tasks: readonly RivalTask[]): Promise<number> {
  const workers = tasks.map(
    (task) => new Worker(new URL('./testing/reserver.ts', import.meta.url), { workerData: task }),
  );
  // All are ready before any begins.
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const counts = await Promise.all(
    workers.map(async (worker) => {
      worker.postMessage('go');
      const [count] = (await once(worker, 'message')) as [number];
      return count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Each of these has oversold a real shop. */
describe('oversell', function () {
  // Rivals that take turns with a busy disk.
  this.timeout(60_000);
  it('by a lost update between concurrent reservations does not happen (Medusa #16569)', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 10 });
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => bench.reserve(`order-${index}`, { mug: 1 })),
    );
    expect(succeededIn(answers)).to.equal(10);
    expect(answers.filter(({ body }) => body['reason'] === 'OutOfStock')).to.have.length(40);
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 10, reserved: 10, committed: 0, available: 0 });
  });

  it('by two lines of one SKU that are checked one by one does not happen (Medusa #16502)', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 3 });
    const twice = [
      { sku: 'mug', quantity: 2 },
      { sku: 'mug', quantity: 2 },
    ];
    const answer = await bench.reserve('order-1', twice);
    expect(answer.body['reason']).to.equal('OutOfStock');
    expect(answer.body['missing']).to.deep.equal([{ sku: 'mug', wanted: 4, available: 3 }]);
    expect((await bench.level('london', 'mug'))['reserved']).to.equal(0);
  });

  it('by a negative reserved count does not happen, however often and in whatever order holds are given up (Medusa #12401)', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 5 });
    const body = { lines: [{ sku: 'mug', quantity: 5 }], shipTo: { country: 'GB' } };
    const reserved = await bench.reserve('order-1', { mug: 5 });
    bench.clock.advance(minutes(16));
    await Promise.all([
      bench.service.expire(),
      bench.send('release-stock', 'order-1', body, 'reserve-stock'),
      bench.service.expire(),
      bench.send('release-stock', 'order-1', body, 'reserve-stock', 2),
      bench.send('release-stock', 'order-1', { reservationId: reserved.body['reservationId'] }, 'commit-stock'),
    ]);
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 5, reserved: 0, committed: 0, available: 5 });
    // The database itself refuses it, should the code ever try.
    expect(() => bench.database.exec('UPDATE stock SET reserved = reserved - 1')).to.throw('CHECK');
  });

  it('by checking in one transaction and allocating in another does not happen, with two threads on one file (Vendure #3508)', async () => {
    await onFile(async (path) => {
      const bench = new InventoryBench({ database: openDatabase(path) });
      await bench.warehouse('london', { mug: 50 });
      const reserved = await race([
        { path, name: 'one', orders: 60, skus: ['mug'] },
        { path, name: 'two', orders: 60, skus: ['mug'] },
      ]);
      expect(reserved).to.equal(50);
      expect(await bench.level('london', 'mug')).to.deep.equal({
        onHand: 50,
        reserved: 50,
        committed: 0,
        available: 0,
      });
      expect((await bench.service.check()).balanced).to.equal(true);
      await bench.store.close();
    });
  });

  it('and no waiting either: while one order is being paid for, others reserve the same SKU (Saleor #11069)', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 2 });
    const paying = await bench.reserve('order-1', { mug: 1 });
    let paid = () => {};
    const payment = new Promise<void>((resolve) => {
      paid = resolve;
    });
    const committed = payment.then(() => bench.commit('order-1', paying));
    // No transaction is open between the steps: the row is free although the payment has not answered.
    expect(bench.database.isTransaction).to.equal(false);
    expect((await bench.reserve('order-2', { mug: 1 })).status).to.equal(200);
    paid();
    expect((await committed).status).to.equal(200);
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 2, reserved: 1, committed: 1, available: 0 });
  });

  it('and no deadlock: orders that name the same SKUs in opposite order all end (Saleor locks by primary key)', async () => {
    await onFile(async (path) => {
      const bench = new InventoryBench({ database: openDatabase(path) });
      await bench.warehouse('london', { cup: 100, mug: 100 });
      const reserved = await race([
        { path, name: 'one', orders: 40, skus: ['cup', 'mug'] },
        { path, name: 'two', orders: 40, skus: ['mug', 'cup'] },
      ]);
      expect(reserved).to.equal(80);
      // Whatever order the lines came in, rows were taken in one: a back end with row locks cannot deadlock either.
      const rows = bench.database.prepare("SELECT sku FROM movement WHERE type = 'reserved' ORDER BY id").all();
      expect(rows.map(({ sku }) => sku)).to.deep.equal(Array.from({ length: 80 }, () => ['cup', 'mug']).flat());
      await bench.store.close();
    });
  });

  it('by counters that drifted is found, reported and repaired from the movements', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 10, cup: 4 });
    await bench.reserve('order-1', { mug: 3 });
    bench.database.exec("UPDATE stock SET reserved = 1, on_hand = 12 WHERE sku = 'mug'");
    const check = await bench.service.check();
    expect(check.balanced).to.equal(false);
    expect(check.differences).to.deep.equal([
      { warehouse: 'london', sku: 'mug', counter: 'onHand', stored: 12, recomputed: 10 },
      { warehouse: 'london', sku: 'mug', counter: 'reserved', stored: 1, recomputed: 3 },
    ]);
    expect(check.reservations).to.deep.equal([
      { warehouse: 'london', sku: 'mug', counter: 'reserved', stored: 1, held: 3 },
    ]);

    const dry = await bench.admin<{ repaired: unknown[] }>('post', '/repair', { body: { dryRun: true } });
    expect(dry.repaired).to.have.length(2);
    expect((await bench.service.check()).balanced).to.equal(false);

    await bench.admin('post', '/repair');
    expect((await bench.service.check()).balanced).to.equal(true);
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 10, reserved: 3, committed: 0, available: 7 });
    expect(bench.database.prepare('SELECT by, sku FROM repair').all()).to.have.length(1);
  });

  it('by a repair that overlooks what is booked while it looks does not happen', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 10 });
    bench.database.exec("UPDATE stock SET committed = 1 WHERE sku = 'mug'");
    // The repair reads the log first; the reservation is committed before the repair is.
    const repair = bench.admin<{ repaired: unknown[] }>('post', '/repair');
    const [{ repaired }, reserved] = await Promise.all([repair, bench.reserve('order-1', { mug: 3 })]);
    expect(reserved.status).to.equal(200);
    expect(repaired).to.deep.equal([
      { warehouse: 'london', sku: 'mug', counter: 'committed', stored: 1, recomputed: 0 },
    ]);
    expect(await bench.level('london', 'mug')).to.deep.equal({ onHand: 10, reserved: 3, committed: 0, available: 7 });
  });

  it('cannot be hidden: the log of movements takes no change', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 1 });
    expect(() => bench.database.exec('DELETE FROM movement')).to.throw('append-only');
    expect(() => bench.database.exec('UPDATE movement SET quantity = 5')).to.throw('append-only');
  });

  it('does not happen in whatever way orders, expiry, shipping and counts come together', async () => {
    const order = fc.integer({ min: 0, max: 4 });
    const sku = fc.constantFrom('mug', 'cup');
    const move = fc.oneof(
      fc.record({
        do: fc.constant('reserve' as const),
        order,
        lines: fc.dictionary(sku, fc.integer({ min: 1, max: 6 }), { minKeys: 1 }),
      }),
      fc.record({
        do: fc.constantFrom('commit' as const, 'release' as const, 'release commit' as const, 'ship' as const),
        order,
      }),
      fc.record({ do: fc.constant('wait' as const), minutes: fc.integer({ min: 1, max: 20 }) }),
      fc.record({
        do: fc.constantFrom('counted' as const, 'lost' as const, 'received' as const),
        sku,
        quantity: fc.integer({ min: 1, max: 9 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(move, { maxLength: 25 }),
        fc.constantFrom('priority', 'fewest-splits', 'nearest'),
        async (moves, strategy) => {
          const bench = new InventoryBench({ strategy: strategy as 'priority' });
          await bench.warehouse('london', { mug: 5, cup: 5 }, { priority: 1, policy: { safetyStock: 1 } });
          await bench.warehouse('leeds', { mug: 5 }, { priority: 2 });
          const bodies = new Map<number, { lines: { sku: string; quantity: number }[]; shipTo: { country: string } }>();
          const held = new Map<number, Answer>();
          let counter = 0;
          for (const step of moves) {
            if (step.do === 'wait') {
              bench.clock.advance(minutes(step.minutes));
              if (step.minutes % 2 === 0) await bench.service.expire();
            } else if ('sku' in step) {
              counter += 1;
              const body = {
                adjustmentId: `a-${counter}`,
                warehouse: 'london',
                sku: step.sku,
                type: step.do,
                quantity: step.quantity,
                reason: 'r',
              };
              await bench
                .admin('post', '/adjustments', { body })
                .catch((error: Error) => expect(error.name).to.equal('ProblemError'));
            } else if (step.do === 'reserve') {
              if (bodies.has(step.order)) continue;
              const body = {
                lines: Object.entries(step.lines).map(([name, quantity]) => ({ sku: name, quantity })),
                shipTo: { country: 'GB' },
              };
              bodies.set(step.order, body);
              held.set(step.order, await bench.send('reserve-stock', `order-${step.order}`, body));
            } else {
              const reserved = held.get(step.order);
              if (reserved?.status !== 200) continue;
              const id = `order-${step.order}`;
              if (step.do === 'commit') await bench.commit(id, reserved);
              if (step.do === 'release')
                await bench.send('release-stock', id, bodies.get(step.order)!, 'reserve-stock');
              if (step.do === 'release commit') {
                await bench.send(
                  'release-stock',
                  id,
                  { reservationId: reserved.body['reservationId'] },
                  'commit-stock',
                );
              }
              if (step.do === 'ship') {
                const params = { namespace: 'shop', saga: 'checkout', orderId: id };
                await bench
                  .admin('post', '/orders/{namespace}/{saga}/{orderId}/ship', { params })
                  .catch((error: Error) => expect(error.name).to.equal('ProblemError'));
              }
            }
          }
          const check = await bench.service.check();
          expect(check.differences).to.deep.equal([]);
          expect(check.reservations).to.deep.equal([]);
          expect(check.balanced).to.equal(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('and under-selling neither: what can be promised is promised', async () => {
    const bench = new InventoryBench();
    await bench.warehouse('london', { mug: 2 });
    await bench.warehouse('leeds', { mug: 1 });
    expect(statuses([await bench.reserve('order-1', { mug: 3 })])).to.deep.equal([200]);
    expect((await bench.service.check()).balanced).to.equal(true);
  });
});
