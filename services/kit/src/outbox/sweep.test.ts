import { expect } from 'chai';
import { VirtualClock } from '../clock.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { SWEEP_ROWS } from '../sweep.ts';
import { instant, minutes } from '../units.ts';
import { outboxMigrations } from './outbox.ts';
import { Relay } from './relay.ts';
import { StoreOutbox } from './store-outbox.ts';

const start = instant(Date.UTC(2026, 10, 22));

/** A store whose outbox has `due` events that were sent and are too old, and behind them `young` that are not. */
async function full(due: number, young: number) {
  const database = openDatabase(':memory:');
  const store = new SqliteStore(database, { migrations: [outboxMigrations] });
  const clock = new VirtualClock(start);
  const write = (count: number, order: string) =>
    store.transact((tx) => {
      for (let n = 0; n < count; n++) {
        tx.run(`INSERT INTO outbox (at, event, type) VALUES (?, '{}', 't')`, clock.now());
        tx.run('INSERT INTO outbox_sequence VALUES (?, 1, ?)', `n/s/${order}-${n}`, clock.now());
      }
    });
  await write(due, 'old');
  clock.advance(minutes(90));
  await write(young, 'young');
  await store.transact((tx) => tx.run('INSERT INTO outbox_subscriber VALUES (?, ?)', 's', due + young));
  const relay = new Relay({
    outbox: new StoreOutbox(store),
    clock,
    subscribers: ['s'],
    sequenceRetention: minutes(61),
    send: async () => {},
  });
  const left = () =>
    store.read(
      (reader) =>
        reader.get<{ events: number; counters: number }>(
          'SELECT (SELECT count(*) FROM outbox) AS events, (SELECT count(*) FROM outbox_sequence) AS counters',
        )!,
    );
  return { database, store, clock, relay, left };
}

describe('the sweep of an outbox', () => {
  it('sweeps all that is due at each turn, a little at a time, however much it is', async () => {
    const due = 20 * SWEEP_ROWS + 1;
    const { relay, clock, left } = await full(due, 10);
    expect(await relay.sweep()).to.deep.equal({ events: SWEEP_ROWS, more: true });
    relay.start();
    clock.advance(minutes(1));
    // Time stands still: what a minute left is gone before the next begins.
    const deadline = Date.now() + 10_000;
    while ((await left()).events > 10 && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
    await relay.stop();
    expect(await left()).to.deep.equal({ events: 10, counters: 10 });
  });

  it('sweeps the counters of orders long silent at the same pace, also where there are no events', async () => {
    const { relay, left, store } = await full(2 * SWEEP_ROWS, 0);
    await store.transact((tx) => tx.run('DELETE FROM outbox'));
    expect(await relay.sweep()).to.deep.equal({ events: 0, more: true });
    expect(await relay.sweep()).to.deep.equal({ events: 0, more: true });
    expect(await relay.sweep()).to.deep.equal({ events: 0, more: false });
    expect(await left()).to.deep.equal({ events: 0, counters: 0 });
  });

  it('looks at no more than it may delete: events that are kept are not read again each minute', async () => {
    const { database, relay } = await full(0, 4 * SWEEP_ROWS);
    let looked = 0;
    database.function('looked', (at) => {
      looked++;
      return at;
    });
    database.exec(
      `CREATE TEMP VIEW outbox AS SELECT position, looked(at) AS at, event, type FROM main.outbox;
       CREATE TEMP TRIGGER outbox_deleted INSTEAD OF DELETE ON outbox BEGIN SELECT 1; END`,
    );
    expect(await relay.sweep()).to.deep.equal({ events: 0, more: false });
    expect(looked).to.be.within(1, SWEEP_ROWS);
    const plan = database.prepare('EXPLAIN QUERY PLAN SELECT stream FROM outbox_sequence WHERE at < 1 LIMIT 1').get();
    expect(plan?.['detail']).to.match(/^SEARCH outbox_sequence USING COVERING INDEX/);
  });

  it('is not held up by an event that a clock gone wrong has dated', async () => {
    const { relay, store, left } = await full(SWEEP_ROWS + 50, 0);
    await store.transact((tx) => tx.run('UPDATE outbox SET at = at * 2 WHERE position = 1'));
    while ((await relay.sweep()).more);
    expect((await left()).events).to.equal(1);
  });
});
