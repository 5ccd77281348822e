import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { VirtualClock } from '../clock.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { days, instant, milliseconds, minutes } from '../units.ts';
import { backlog, type CloudEvent, Outbox, outboxMigrations } from './outbox.ts';
import { Relay } from './relay.ts';

const start = instant(Date.UTC(2026, 10, 22));

function bench() {
  const clock = new VirtualClock(start);
  const store = new SqliteStore(openDatabase(':memory:'), { migrations: [outboxMigrations] });
  const outbox = new Outbox('/mercato/test');
  const emit = (orderId: string, type: string) =>
    store.transact((tx) =>
      outbox.emit(tx, { type, namespace: 'shop', saga: 'checkout', orderId, data: { type }, time: clock.now() }),
    );
  return { clock, store, emit };
}

describe('the outbox', () => {
  it('counts each order from 1 and says all that CloudEvents asks for', async () => {
    const { store, emit, clock } = bench();
    await emit('a', 'one');
    await emit('b', 'one');
    await emit('a', 'two');
    const got: CloudEvent[] = [];
    const relay = new Relay({
      store,
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
    expect(await store.read((reader) => backlog(reader, 's'))).to.equal(0);
  });

  it('sends again what a subscriber did not take, in order, and holds up no other', async () => {
    const { store, emit, clock } = bench();
    for (const type of ['one', 'two', 'three']) await emit('a', type);
    const got: Record<string, string[]> = { good: [], bad: [] };
    let down = true;
    const relay = new Relay({
      store,
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
    expect(await store.read((reader) => backlog(reader, 'bad'))).to.equal(0);
  });

  it('sweeps what everyone has and nothing that anyone lacks', async () => {
    const { store, emit, clock } = bench();
    await emit('a', 'one');
    await emit('a', 'two');
    const subscribers = ['quick', 'slow'];
    const relay = new Relay({ store, clock, subscribers, batch: 1, send: async () => {} });
    for (let pass = 0; pass < 2; pass += 1) await relay.pass('quick');
    clock.advance(minutes(61));
    expect(await relay.sweep()).to.equal(0);
    await relay.pass('slow');
    expect(await relay.sweep()).to.equal(1);
    expect(await store.read((reader) => backlog(reader, 'slow'))).to.equal(1);
    await relay.pass('slow');
    expect(await relay.sweep()).to.equal(1);
    expect(await store.read((reader) => [backlog(reader, 'quick'), backlog(reader, 'slow')])).to.deep.equal([0, 0]);
  });

  it('keeps sent events for their retention, and goes on counting when they are gone', async () => {
    const { store, emit, clock } = bench();
    await emit('a', 'one');
    const got: CloudEvent[] = [];
    const relay = new Relay({
      store,
      clock,
      subscribers: ['s'],
      send: async (_url, events) => void got.push(...events),
    });
    await relay.pass('s');
    clock.advance(minutes(59));
    expect(await relay.sweep()).to.equal(0);
    clock.advance(minutes(2));
    expect(await relay.sweep()).to.equal(1);
    await emit('a', 'two');
    await relay.pass('s');
    expect(got.map(({ sequence }) => sequence)).to.deep.equal(['1', '2']);
  });

  it('forgets the counters of orders long silent', async () => {
    const { store, emit, clock } = bench();
    await emit('a', 'one');
    clock.advance(days(71));
    await new Relay({ store, clock, subscribers: [] }).sweep();
    expect(await store.read((reader) => reader.all('SELECT * FROM outbox_sequence'))).to.deep.equal([]);
  });

  it('sends as many as fit, and one that is larger alone', async () => {
    const { store, clock } = bench();
    const outbox = new Outbox('/mercato/test');
    for (const size of [100, 100, 5000, 100]) {
      const data = { fat: 'x'.repeat(size) };
      await store.transact((tx) =>
        outbox.emit(tx, { type: 't', namespace: 'n', saga: 's', orderId: 'o', data, time: clock.now() }),
      );
    }
    const sent: string[][] = [];
    const send = async (_url: string, events: readonly CloudEvent[]) =>
      void sent.push(events.map(({ sequence }) => sequence));
    const relay = new Relay({ store, clock, subscribers: ['s'], batchBytes: 2000, send });
    while ((await relay.pass('s')) > 0);
    expect(sent).to.deep.equal([['1', '2'], ['3'], ['4']]);
  });

  it('relays by itself over HTTP until it is stopped', async () => {
    const { store, emit } = bench();
    const got: CloudEvent[] = [];
    let refusals = 2;
    let done = () => {};
    const arrived = new Promise<void>((resolve) => {
      done = resolve;
    });
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      if (refusals-- > 0) return void response.writeHead(503).end();
      expect(request.headers['content-type']).to.equal('application/cloudevents-batch+json');
      got.push(...(JSON.parse(Buffer.concat(chunks).toString()) as CloudEvent[]));
      response.writeHead(204).end();
      if (got.length >= 2) done();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
    await emit('a', 'one');
    await emit('a', 'two');
    const relay = new Relay({ store, subscribers: [url], idle: milliseconds(5) });
    relay.start();
    // The system clock's timers do not keep a process alive; the server does.
    await arrived;
    await relay.stop();
    expect(got.map(({ type }) => type)).to.deep.equal(['one', 'two']);
    server.closeAllConnections();
    server.close();
  });
});
