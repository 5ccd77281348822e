import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VirtualClock } from '../clock.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { days, instant, milliseconds, minutes } from '../units.ts';
import { backlog, type CloudEvent, Outbox, outboxMigrations } from './outbox.ts';
import { NotTaken, Relay } from './relay.ts';
import { StoreOutbox } from './store-outbox.ts';

const start = instant(Date.UTC(2026, 10, 22));

function bench() {
  const clock = new VirtualClock(start);
  const store = new SqliteStore(openDatabase(':memory:'), { migrations: [outboxMigrations] });
  const outbox = new Outbox('/mercato/test');
  const emit = (orderId: string, type: string) =>
    store.transact((tx) =>
      outbox.emit(tx, { type, namespace: 'shop', saga: 'checkout', orderId, data: { type }, time: clock.now() }),
    );
  return { clock, store, outbox: new StoreOutbox(store), emit };
}

describe('the outbox', () => {
  it('counts each order from 1 and says all that CloudEvents asks for', async () => {
    const { outbox, emit, clock } = bench();
    await emit('a', 'one');
    await emit('b', 'one');
    await emit('a', 'two');
    const got: CloudEvent[] = [];
    const relay = new Relay({
      outbox,
      clock,
      subscribers: ['s'],
      send: async (_url, events) => void got.push(...events),
    });
    await relay.pass('s');
    expect(got.map(({ subject, sequence }) => [subject, sequence])).to.deep.equal([
      ['a', '1'],
      ['b', '1'],
      ['a', '2'],
    ]);
    expect(got[2]).to.deep.equal({
      specversion: '1.0',
      id: 'shop/checkout/a/2',
      source: '/mercato/test',
      type: 'two',
      subject: 'a',
      time: '2026-11-22T00:00:00.000Z',
      sequence: '2',
      mercatonamespace: 'shop',
      mercatosaga: 'checkout',
      datacontenttype: 'application/json',
      data: { type: 'two' },
    });
  });

  it('has no event of a change that was taken back', async () => {
    const { store } = bench();
    const outbox = new Outbox('/mercato/test');
    await store
      .transact((tx) => {
        outbox.emit(tx, { type: 't', namespace: 'n', saga: 's', orderId: 'o', data: {}, time: start });
        throw new Error('no');
      })
      .catch(() => {});
    expect(await store.read((reader) => backlog(reader, { url: 's' }))).to.equal(0);
  });

  it('sends again what a subscriber did not take, in order, and holds up no other', async () => {
    const { store, outbox, emit, clock } = bench();
    for (const type of ['one', 'two', 'three']) await emit('a', type);
    const got: Record<string, string[]> = { good: [], bad: [] };
    let down = true;
    const relay = new Relay({
      outbox,
      clock,
      subscribers: ['good', 'bad'],
      batch: 2,
      async send(url, events) {
        if (url === 'bad' && down) throw new Error('503');
        got[url]!.push(...events.map(({ type }) => type));
      },
    });
    for (let pass = 0; pass < 2; pass += 1) await relay.pass('good');
    expect(await relay.pass('bad').catch((error: Error) => error.message)).to.equal('503');
    expect(got).to.deep.equal({ good: ['one', 'two', 'three'], bad: [] });
    down = false;
    for (let pass = 0; pass < 2; pass += 1) await relay.pass('bad');
    expect(got['bad']).to.deep.equal(['one', 'two', 'three']);
    expect(await store.read((reader) => backlog(reader, { url: 'bad' }))).to.equal(0);
  });

  it('sweeps what everyone has and nothing that anyone lacks', async () => {
    const { store, outbox, emit, clock } = bench();
    await emit('a', 'one');
    await emit('a', 'two');
    const subscribers = ['quick', 'slow'];
    const relay = new Relay({ outbox, clock, subscribers, batch: 1, send: async () => {} });
    for (let pass = 0; pass < 2; pass += 1) await relay.pass('quick');
    clock.advance(minutes(61));
    expect((await relay.sweep()).events).to.equal(0);
    await relay.pass('slow');
    expect((await relay.sweep()).events).to.equal(1);
    expect(await store.read((reader) => backlog(reader, { url: 'slow' }))).to.equal(1);
    await relay.pass('slow');
    expect((await relay.sweep()).events).to.equal(1);
    expect(
      await store.read((reader) => [backlog(reader, { url: 'quick' }), backlog(reader, { url: 'slow' })]),
    ).to.deep.equal([0, 0]);
  });

  it('keeps sent events for their retention, and goes on counting when they are gone', async () => {
    const { outbox, emit, clock } = bench();
    await emit('a', 'one');
    const got: CloudEvent[] = [];
    const relay = new Relay({
      outbox,
      clock,
      subscribers: ['s'],
      send: async (_url, events) => void got.push(...events),
    });
    await relay.pass('s');
    clock.advance(minutes(59));
    expect((await relay.sweep()).events).to.equal(0);
    clock.advance(minutes(2));
    expect((await relay.sweep()).events).to.equal(1);
    await emit('a', 'two');
    await relay.pass('s');
    expect(got.map(({ sequence }) => sequence)).to.deep.equal(['1', '2']);
  });

  it('forgets the counters of orders long silent', async () => {
    const { store, outbox, emit, clock } = bench();
    await emit('a', 'one');
    clock.advance(days(71));
    await new Relay({ outbox, clock, subscribers: [] }).sweep();
    expect(await store.read((reader) => reader.all('SELECT * FROM outbox_sequence'))).to.deep.equal([]);
  });

  it('sends as many as fit, and one that is larger alone', async () => {
    const { store, outbox, clock } = bench();
    const writer = new Outbox('/mercato/test');
    for (const size of [100, 100, 5000, 100]) {
      const data = { fat: 'x'.repeat(size) };
      await store.transact((tx) =>
        writer.emit(tx, { type: 't', namespace: 'n', saga: 's', orderId: 'o', data, time: clock.now() }),
      );
    }
    const sent: string[][] = [];
    const send = async (_url: string, events: readonly CloudEvent[]) =>
      void sent.push(events.map(({ sequence }) => sequence));
    const relay = new Relay({ outbox, clock, subscribers: ['s'], batchBytes: 2000, send });
    while ((await relay.pass('s')) > 0);
    expect(sent).to.deep.equal([['1', '2'], ['3'], ['4']]);
  });

  it('gives a subscriber its types only, and lets what is for nobody be swept', async () => {
    const { outbox, store, emit, clock } = bench();
    for (const type of ['placed', 'told', 'placed', 'told', 'placed']) await emit('a', type);
    const got: string[] = [];
    const picky = { url: 's', types: ['told'] };
    const relay = new Relay({
      outbox,
      clock,
      subscribers: [picky],
      batch: 2,
      send: async (_url, events) => void got.push(...events.map(({ type, sequence }) => `${type} ${sequence}`)),
    });
    expect(await outbox.backlog(picky)).to.equal(2);
    while ((await relay.pass('s')) > 0);
    expect(got).to.deep.equal(['told 2', 'told 4']);
    expect(await store.read((reader) => reader.all('SELECT sent FROM outbox_subscriber'))).to.deep.equal([{ sent: 5 }]);
    clock.advance(minutes(61));
    expect((await relay.sweep()).events).to.equal(5);
  });

  it('knows the types of events that an older release wrote', async () => {
    const database = openDatabase(':memory:');
    const [first, ...later] = outboxMigrations.steps;
    const old = new SqliteStore(database, { migrations: [{ component: 'kit.outbox', steps: [first!] }] });
    await old.transact((tx) => tx.run('INSERT INTO outbox (at, event) VALUES (?, ?)', start, '{"type":"told"}'));
    expect(later).to.have.length.greaterThan(0);
    const outbox = new StoreOutbox(new SqliteStore(database, { migrations: [outboxMigrations] }));
    expect(await outbox.backlog({ url: 's', types: ['told'] })).to.equal(1);
    expect(await outbox.backlog({ url: 's', types: ['placed'] })).to.equal(0);
  });

  /** A relay on a clock that the test moves; `passes` counts what was sent. */
  function paced(send: () => void) {
    const parts = bench();
    const passes: number[] = [];
    const relay = new Relay({
      outbox: parts.outbox,
      clock: parts.clock,
      subscribers: ['s'],
      async send(_url, events) {
        send();
        passes.push(events.length);
      },
      onError: () => {},
    });
    /** Lets time pass, and everything that is due come to its end. */
    const passing = async (span: number) => {
      for (let i = 0; i < span; i += 10) {
        parts.clock.advance(milliseconds(Math.min(10, span - i)));
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    return { ...parts, relay, passes, passing };
  }

  it('sends soon after it was told of a commit, together what was written within its linger', async () => {
    const { relay, outbox, emit, passes, passing } = paced(() => {});
    relay.start();
    await passing(10);
    for (const type of ['one', 'two', 'three']) {
      await emit('a', type);
      outbox.written();
    }
    await passing(10);
    expect(passes).to.deep.equal([]);
    await passing(10);
    expect(passes).to.deep.equal([3]);
    await relay.stop();
  });

  it('leaves a subscriber alone for as long as it asked, whatever is written meanwhile', async () => {
    let refusals = 1;
    const { relay, outbox, emit, passes, passing } = paced(() => {
      if (refusals-- > 0) throw new NotTaken('429', milliseconds(3000));
    });
    await emit('a', 'one');
    relay.start();
    await passing(100);
    await emit('a', 'two');
    outbox.written();
    await passing(2800);
    expect(passes).to.deep.equal([]);
    await passing(200);
    expect(passes).to.deep.equal([2]);
    await relay.stop();
  });

  it('relays by itself over HTTP until it is stopped', async () => {
    const { outbox, emit } = bench();
    const got: CloudEvent[] = [];
    let refusals = 2;
    let done = () => {};
    const arrived = new Promise<void>((resolve) => {
      done = resolve;
    });
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      if (refusals-- > 0) return void response.writeHead(503, { 'retry-after': '0.01' }).end();
      expect(request.headers.authorization).to.equal('Bearer its-own');
      expect(request.headers['content-type']).to.equal('application/cloudevents-batch+json');
      got.push(...(JSON.parse(Buffer.concat(chunks).toString()) as CloudEvent[]));
      response.writeHead(204).end();
      if (got.length >= 2) done();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
    await emit('a', 'one');
    await emit('a', 'two');
    const folder = await mkdtemp(join(tmpdir(), 'mercato-relay-'));
    for (const name of ['common', 'its-own']) await writeFile(join(folder, name), `${name}\n`);
    const relay = new Relay({
      outbox,
      subscribers: [{ url, tokenFile: join(folder, 'its-own') }],
      tokenFile: join(folder, 'common'),
      idle: milliseconds(5),
    });
    relay.start();
    // The system clock's timers do not keep a process alive; the server does.
    await arrived;
    await relay.stop();
    expect(got.map(({ type }) => type)).to.deep.equal(['one', 'two']);
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  });
});
