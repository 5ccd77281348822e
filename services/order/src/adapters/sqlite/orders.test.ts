import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, days, openDatabase, SqliteStore } from '@mercato/kit';
import { SWEEP_ROWS } from '@mercato/kit/sweep.ts';
import { expect } from 'chai';
import type { Shop } from '../../domain/events.ts';
import { describeOrders } from '../../orders-conformance.ts';
import { OrdersUnavailable } from '../../ports/orders.ts';
import { noon, placement, shop } from '../../testing/samples.ts';
import { migrations, SqliteOrders } from './orders.ts';

let folder = '';

function opened(of: Shop) {
  const orders = new SqliteOrders(new SqliteStore(openDatabase(join(folder, 'order.sqlite')), { migrations }), of);
  return { orders, outbox: orders.outbox };
}

describeOrders('SQLite', {
  async open(of) {
    folder = await mkdtemp(join(tmpdir(), 'mercato-orders-'));
    return opened(of);
  },
  reopen: async (of) => opened(of),
  discard: () => rm(folder, { recursive: true }),
});

describe('orders in SQLite', () => {
  it('are refused as a whole while the disk is full, and taken again afterwards', async () => {
    const database = openDatabase(':memory:');
    const orders = new SqliteOrders(new SqliteStore(database, { migrations }), shop);
    await orders.place(placement());
    const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
    database.exec(`PRAGMA max_page_count = ${pages}`);
    const refused = [];
    // Some fit into pages that are there; what matters is that one is refused whole.
    for (let i = 0; i < 200 && refused.length === 0; i++) {
      const wanted = placement();
      const error: unknown = await orders.place(wanted).catch((thrown: unknown) => thrown);
      if (error instanceof Error) refused.push({ wanted, error });
    }
    const [{ wanted, error }] = refused as [{ wanted: ReturnType<typeof placement>; error: Error }];
    expect(error).to.be.instanceOf(OrdersUnavailable);
    expect(await orders.find(wanted.placed.order.id)).to.equal(undefined);
    database.exec('PRAGMA max_page_count = 1073741823');
    expect(await orders.place(wanted)).to.deep.equal({ type: 'Recorded' });
    await orders.close();
  });

  it('are forgotten a little at a time, so that nobody waits long for a commit', async () => {
    const orders = new SqliteOrders(new SqliteStore(openDatabase(':memory:'), { migrations }), shop);
    await Promise.all(Array.from({ length: SWEEP_ROWS + 1 }, () => orders.place(placement())));
    const forgetting = { keysBefore: after(noon, days(1)), ordersBefore: noon };
    const swept = [await orders.sweep(forgetting), await orders.sweep(forgetting), await orders.sweep(forgetting)];
    expect(swept).to.deep.equal([
      { forgotten: SWEEP_ROWS / 2, more: true },
      { forgotten: SWEEP_ROWS / 2, more: true },
      { forgotten: 1, more: false },
    ]);
    await orders.close();
  });

  it('store the payment token in the event for the saga and nowhere else', async () => {
    const database = openDatabase(':memory:');
    const orders = new SqliteOrders(new SqliteStore(database, { migrations }), shop);
    await orders.place(placement({ paymentToken: 'tok_secret' }));
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    const holding = tables
      .map(({ name }) => String(name))
      .filter((name) => JSON.stringify(database.prepare(`SELECT * FROM ${name}`).all()).includes('tok_secret'));
    // The key's fingerprint is a hash; in the samples it is plain text.
    expect(holding.filter((name) => name !== 'order_key')).to.deep.equal(['outbox']);
    await orders.close();
  });
});
