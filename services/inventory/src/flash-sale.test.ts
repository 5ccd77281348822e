import type { Answer } from '@mercato/kit';
import { expect } from 'chai';
import { InventoryBench } from './testing/bench.ts';

const STOCK = 1000;
const BUYERS = 10_000;

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** Counts writes of stock rows where they happen, not where we mean to make them. */
function countWrites(bench: InventoryBench): () => number {
  bench.database.exec(
    `CREATE TEMP TABLE written (n INTEGER); INSERT INTO written VALUES (0);
     CREATE TEMP TRIGGER count_updates AFTER UPDATE ON main.stock BEGIN UPDATE written SET n = n + 1; END;
     CREATE TEMP TRIGGER count_inserts AFTER INSERT ON main.stock BEGIN UPDATE written SET n = n + 1; END;`,
  );
  return () => Number(bench.database.prepare('SELECT n FROM written').get()?.['n']);
}

describe('a flash sale on one SKU', function () {
  this.timeout(30_000);
  let bench: InventoryBench;
  let writes: () => number;

  beforeEach(async () => {
    bench = new InventoryBench();
    await bench.warehouse('london', { mug: STOCK });
    writes = countWrites(bench);
  });

  it('sells 1,000 units to exactly 1,000 of 10,000 buyers, with one write of the row for each commit that sold', async () => {
    const answers = await Promise.all(range(0, BUYERS).map((i) => bench.reserve(`order-${i}`, { mug: 1 })));
    expect(answers.filter(({ status }) => status === 200)).to.have.length(STOCK);
    expect(answers.filter(({ body }) => body['reason'] === 'OutOfStock')).to.have.length(BUYERS - STOCK);
    // A thousand operations are one commit.
    expect(writes()).to.equal(1);
    expect(await bench.level('london', 'mug')).to.deep.equal({
      onHand: STOCK,
      reserved: STOCK,
      committed: 0,
      available: 0,
    });
    expect((await bench.service.check()).balanced).to.equal(true);
  });

  it('goes on so while buyers come in waves, pay, give up and come again', async () => {
    const held = new Map<string, Answer>();
    let commits = 0;
    for (let wave = 0; wave < 50; wave += 1) {
      const before = writes();
      const buying = range(wave * 40, wave * 40 + 40).map(async (i) => {
        const answer = await bench.reserve(`order-${i}`, { mug: 1 });
        if (answer.status === 200) held.set(`order-${i}`, answer);
      });
      const [...open] = held;
      const going = open.map(async ([orderId, reserved], i) => {
        if (i % 3 === 0) return bench.commit(orderId, reserved);
        held.delete(orderId);
        const body = { lines: [{ sku: 'mug', quantity: 1 }], shipTo: { country: 'GB' } };
        return i % 3 === 1 ? bench.send('release-stock', orderId, body, 'reserve-stock') : undefined;
      });
      await Promise.all([...buying, ...going]);
      commits += 1;
      expect(writes() - before).to.be.at.most(1);
    }
    expect(writes()).to.be.within(commits / 2, commits);
    const { balanced, totals } = await bench.service.check();
    expect(balanced).to.equal(true);
    expect(totals.reserved + totals.committed).to.be.within(1, STOCK);
    expect(Number((await bench.level('london', 'mug'))['available'])).to.equal(
      STOCK - totals.reserved - totals.committed,
    );
  });

  it('is not disturbed by operations of the same commit that fail', async () => {
    const mixed = range(0, 300).map((i) =>
      i % 3 === 0
        ? bench.reserve(`order-${i}`, { mug: 1 })
        : i % 3 === 1
          ? // Nobody has ever had a saucer.
            bench.reserve(`order-${i}`, { mug: 5, saucer: 1 })
          : bench.commit(`order-${i}`, { status: 200, body: { reservationId: 'rsv-none' } }),
    );
    const answers = await Promise.all(mixed);
    expect(answers.filter(({ status }) => status === 200)).to.have.length(100);
    expect(writes()).to.equal(1);
    expect((await bench.level('london', 'mug'))['reserved']).to.equal(100);
    expect((await bench.service.check()).balanced).to.equal(true);
  });

  it('has goods that come in during a commit sold in it', async () => {
    await bench.admin('put', '/warehouses/{id}', { params: { id: 'leeds' }, body: { location: { country: 'GB' } } });
    const receipt = { receiptId: 'r-1', warehouse: 'leeds', restock: 'r', lines: [{ sku: 'pot', quantity: 3 }] };
    const [, ...answers] = await Promise.all([
      bench.admin('post', '/receipts', { body: receipt }),
      ...range(0, 5).map((i) => bench.reserve(`order-${i}`, { pot: 1 })),
    ]);
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200, 422, 422]);
    // The row is new: it is put there with its first movement, and written at the end.
    expect(writes()).to.equal(2);
    expect(await bench.level('leeds', 'pot')).to.deep.equal({ onHand: 3, reserved: 3, committed: 0, available: 0 });
  });
});
