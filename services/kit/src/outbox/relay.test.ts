import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { VirtualClock } from '../clock.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { days, instant, milliseconds, minutes } from '../units.ts';
import { NotTaken, placesAgain } from './not-taken.ts';
import { backlog, type CloudEvent, Outbox, outboxMigrations } from './outbox.ts';
import { Relay } from './relay.ts';
import { StoreOutbox } from './store-outbox.ts';
import { MOST_WAITING } from './waiting.ts';

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

  /** A relay on a clock that the test moves; `passes` counts what was taken whole, `asked` has what was sent. */
  function paced(send: (events: readonly CloudEvent[]) => void) {
    const parts = bench();
    const passes: number[] = [];
    const asked: string[][] = [];
    const relay = new Relay({
      outbox: parts.outbox,
      clock: parts.clock,
      subscribers: ['s'],
      async send(_url, events) {
        asked.push(events.map(({ subject }) => subject));
        send(events);
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
    return { ...parts, relay, passes, asked, passing };
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

  it('backs off from a subscriber that takes nothing new, and goes on at once when it takes a part', async () => {
    const denied = new Set(['a', 'b', 'c', 'd']);
    const { relay, outbox, emit, asked, passing } = paced((events) => {
      const again = [...events.keys()].filter((place) => denied.has(events[place]!.subject));
      if (again.length > 0) throw new NotTaken('503', milliseconds(60_000), again);
    });
    relay.start();
    for (const order of ['a', 'b', 'c']) {
      await emit(order, 'placed');
      outbox.written();
      await passing(100);
    }
    // The second of them came in the first one's pause, and the third in it as well: 200 ms, then 400.
    await passing(400);
    expect(asked).to.deep.equal([['a'], ['b', 'c']]);
    await passing(400);
    for (const order of ['d', 'e']) await emit(order, 'placed');
    outbox.written();
    await passing(200);
    expect(asked.at(-1)).to.deep.equal(['d', 'e']);
    await emit('f', 'placed');
    outbox.written();
    await passing(20);
    expect(asked.at(-1)).to.deep.equal(['f']);
    await relay.stop();
  });

  describe('with a subscriber that takes a part and names the rest', () => {
    /** One that does not take the orders in `denied`; `heard` is what it took, `asked` what it was sent. */
    function picky(retryAfter?: number) {
      const parts = bench();
      const denied = new Set<string>();
      const heard: string[] = [];
      const asked: string[][] = [];
      const errors: unknown[] = [];
      const started = () =>
        new Relay({
          outbox: parts.outbox,
          clock: parts.clock,
          subscribers: ['s'],
          onError: (error) => errors.push(error),
          async send(_url, events) {
            const names = events.map(({ subject, sequence }) => `${subject}/${sequence}`);
            asked.push(names);
            const again = [...events.keys()].filter((place) => denied.has(events[place]!.subject));
            heard.push(...names.filter((_, place) => !again.includes(place)));
            const after = retryAfter === undefined ? undefined : milliseconds(retryAfter);
            if (again.length > 0) throw new NotTaken('503', after, again);
          },
        });
      const left = () => parts.store.read((reader) => backlog(reader, { url: 's' }));
      return { ...parts, denied, heard, asked, errors, started, left, relay: started() };
    }

    it('sends again those only, each later than before, while other orders go on', async () => {
      const { relay, emit, clock, denied, heard, asked, errors, left } = picky();
      denied.add('a');
      for (const order of ['a', 'b', 'c']) await emit(order, 'placed');
      expect(await relay.pass('s')).to.equal(2);
      expect([heard, await left(), errors.length]).to.deep.equal([['b/1', 'c/1'], 1, 1]);
      await emit('d', 'placed');
      clock.advance(milliseconds(199));
      await relay.pass('s');
      clock.advance(milliseconds(1));
      await relay.pass('s');
      clock.advance(milliseconds(399));
      expect(await relay.pass('s')).to.equal(0);
      clock.advance(milliseconds(1));
      denied.clear();
      expect(await relay.pass('s')).to.equal(1);
      expect(asked).to.deep.equal([['a/1', 'b/1', 'c/1'], ['d/1'], ['a/1'], ['a/1']]);
      expect(await left()).to.equal(0);
    });

    it('leaves it those for as long as it asked, up to its longest pause, and no longer where the clock was set back', async () => {
      const { relay, emit, clock, denied, asked } = picky(3_600_000);
      denied.add('a');
      await emit('a', 'placed');
      await relay.pass('s');
      clock.advance(milliseconds(9_999));
      await relay.pass('s');
      expect(asked).to.have.length(1);
      clock.advance(milliseconds(1));
      await relay.pass('s');
      expect(asked).to.have.length(2);
      clock.advance(minutes(-10) as never);
      await relay.pass('s');
      expect(asked).to.have.length(3);
    });

    it('lets no later event of an order overtake one that waits', async () => {
      const { relay, emit, clock, denied, heard, asked, left } = picky();
      denied.add('a');
      await emit('a', 'placed');
      await emit('b', 'placed');
      await emit('a', 'cancel-requested');
      await relay.pass('s');
      await emit('a', 'more');
      await emit('c', 'placed');
      await relay.pass('s');
      expect(heard).to.deep.equal(['b/1', 'c/1']);
      expect(await left()).to.equal(3);
      clock.advance(milliseconds(200));
      // With it: a cancel that came later than its order could come too late.
      await relay.pass('s');
      expect(asked.at(-1)).to.deep.equal(['a/1', 'a/2', 'a/3']);
      denied.clear();
      clock.advance(milliseconds(400));
      while ((await relay.pass('s')) > 0);
      expect(heard).to.deep.equal(['b/1', 'c/1', 'a/1', 'a/2', 'a/3']);
    });

    it('sends again, in order, what is behind an event that is to come again, though it was taken', async () => {
      const { outbox, clock, emit } = bench();
      const asked: string[][] = [];
      const send = async (_url: string, events: readonly CloudEvent[]) => {
        asked.push(events.map(({ sequence }) => sequence));
        if (asked.length === 1) throw new NotTaken('503', undefined, [0]);
      };
      const relay = new Relay({ outbox, clock, subscribers: ['s'], send });
      for (const type of ['one', 'two']) await emit('a', type);
      await relay.pass('s');
      clock.advance(milliseconds(200));
      while ((await relay.pass('s')) > 0);
      expect(asked).to.deep.equal([
        ['1', '2'],
        ['1', '2'],
      ]);
    });

    it('remembers what waits over a restart, and sends it first', async () => {
      const { relay, started, emit, denied, asked } = picky();
      denied.add('a');
      for (const order of ['a', 'b', 'a']) await emit(order, 'x');
      await relay.pass('s');
      await emit('c', 'x');
      denied.clear();
      await started().pass('s');
      expect(asked.at(-1)).to.deep.equal(['a/1', 'a/2', 'c/1']);
    });

    it('sweeps nothing that waits, however old, and nothing for somebody who is told no more', async () => {
      const { relay, emit, clock, denied, heard, store } = picky();
      denied.add('a');
      for (const order of ['a', 'b']) await emit(order, 'x');
      await relay.pass('s');
      clock.advance(minutes(61));
      expect((await relay.sweep()).events).to.equal(1);
      await relay.pass('s');
      const rows = () => store.read((reader) => reader.all('SELECT url FROM outbox_waiting'));
      expect([heard, await rows()]).to.deep.equal([['b/1'], [{ url: 's' }]]);
      const other = new Relay({ outbox: new StoreOutbox(store), clock, subscribers: ['t'], send: async () => {} });
      await other.pass('t');
      expect((await other.sweep()).events).to.equal(1);
      expect(await rows()).to.deep.equal([]);
    });

    it('has only so many wait: then nothing new is sent until some are taken', async () => {
      const { relay, emit, clock, denied, heard, asked, left } = picky();
      for (let i = 0; i < MOST_WAITING + 50; i++) {
        denied.add(`o${i}`);
        await emit(`o${i}`, 'placed');
      }
      await emit('last', 'placed');
      for (let pass = 0; pass < 20; pass++) await relay.pass('s');
      expect(asked.flat()).to.have.length(MOST_WAITING);
      denied.delete('o7');
      clock.advance(milliseconds(200));
      for (let pass = 0; pass < 20; pass++) await relay.pass('s');
      expect(heard).to.deep.equal(['o7/1']);
      expect(new Set(asked.flat())).to.have.property('size', MOST_WAITING + 1);
      denied.clear();
      clock.advance(milliseconds(10_000));
      while ((await relay.pass('s')) > 0);
      expect(heard).to.include('last/1');
      expect(await left()).to.equal(0);
    });

    it('has no more than so many wait over a restart', async () => {
      const { outbox, clock, emit, store } = bench();
      for (let i = 0; i < MOST_WAITING + 400; i++) await emit(`o${i}`, 'placed');
      const send = (_url: string, events: readonly CloudEvent[]) =>
        Promise.reject(new NotTaken('503', undefined, [...events.keys()]));
      for (let start = 0; start < 2; start++) {
        const relay = new Relay({ outbox, clock, subscribers: ['s'], batch: 300, send });
        for (let pass = 0; pass < 8; pass++) await relay.pass('s');
      }
      expect(await store.read((reader) => reader.all('SELECT count(*) AS count FROM outbox_waiting'))).to.deep.equal([
        { count: MOST_WAITING },
      ]);
    });

    it('loses nothing and keeps each order in its sequence, whatever is refused and whenever it is started anew', async () => {
      const order = fc.constantFrom('a', 'b', 'c');
      const step = fc.oneof(
        order.map((emitted) => ({ emitted })),
        fc.array(fc.nat({ max: 9 }), { maxLength: 6 }).map((refused) => ({ refused })),
        fc.constant({ down: true }),
        fc.constant({ restart: true }),
        fc.integer({ min: 1, max: 2_000 }).map((span) => ({ span })),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
          const { outbox, emit, clock, store } = bench();
          const taken = new Map<string, number>();
          const emitted = new Map<string, number>();
          let refuse: readonly number[] = [];
          const send = async (_url: string, events: readonly CloudEvent[]) => {
            const again = refuse.filter((place) => place < events.length).toSorted();
            for (const [place, { subject, sequence }] of events.entries()) {
              if (again.includes(place)) continue;
              // An event that it takes may come again; one that it lacks is never behind one that the relay takes for done.
              if (Number(sequence) === (taken.get(subject) ?? 0) + 1) taken.set(subject, Number(sequence));
            }
            if (again.length > 0) throw new NotTaken('503', undefined, [...new Set(again)]);
          };
          const started = () => new Relay({ outbox, clock, subscribers: ['s'], batch: 4, send });
          let relay = started();
          for (const each of steps) {
            if ('emitted' in each) {
              await emit(each.emitted, 'x');
              emitted.set(each.emitted, (emitted.get(each.emitted) ?? 0) + 1);
            } else if ('refused' in each) {
              refuse = each.refused;
              await relay.pass('s');
            } else if ('restart' in each) relay = started();
            else if ('span' in each) clock.advance(milliseconds(each.span));
            else {
              const away = new Relay({
                outbox,
                clock,
                subscribers: ['s'],
                send: () => Promise.reject(new Error('down')),
              });
              await away.pass('s').catch(() => {});
            }
          }
          refuse = [];
          clock.advance(milliseconds(10_000));
          while ((await relay.pass('s')) > 0);
          expect(taken).to.deep.equal(emitted);
          expect(await store.read((reader) => backlog(reader, { url: 's' }))).to.equal(0);
        }),
        { numRuns: 200 },
      );
    });

    it('reads places of the delivery only, each once, and takes anything else for all', () => {
      const read = (body: unknown) => placesAgain(typeof body === 'string' ? body : JSON.stringify(body), 3);
      expect(read({ title: 'Busy', again: [2, 0] })).to.deep.equal([0, 2]);
      expect(read({ again: [0, 1, 2] })).to.deep.equal([0, 1, 2]);
      const wrong = [
        [],
        [3],
        [-1],
        [0.5],
        ['0'],
        [0, 0],
        [null],
        [0, 1, 2, 0],
        '0',
        { 0: 0, length: 1 },
        null,
        undefined,
      ];
      for (const again of wrong) expect(read({ again }), JSON.stringify(again)).to.equal(undefined);
      for (const text of ['', 'no json', '[0]', 'null', '"again"', '{"again":[1e400]}'])
        expect(read(text), text).to.equal(undefined);
    });
  });

  it('reads over HTTP which events are to come again', async () => {
    const { outbox, emit } = bench();
    const answers = [
      { status: 503, body: '{"again":[1]}' },
      { status: 503, body: '{"again":[7]}' },
      { status: 429, body: '{"again":[0]}' },
      { status: 503, body: `{"again":[0],"detail":"${'x'.repeat(70_000)}"}` },
      { status: 204, body: '' },
    ];
    const got: string[][] = [];
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      got.push((JSON.parse(Buffer.concat(chunks).toString()) as CloudEvent[]).map(({ subject }) => subject));
      const { status, body } = answers.shift()!;
      response.writeHead(status, status === 503 ? { 'retry-after': '0' } : {}).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
    const errors: unknown[] = [];
    const clock = new VirtualClock(start);
    const relay = new Relay({ outbox, clock, subscribers: [url], onError: (error) => errors.push(error) });
    for (const order of ['a', 'b', 'c']) await emit(order, 'placed');
    expect(await relay.pass(url)).to.equal(2);
    clock.advance(milliseconds(200));
    await emit('d', 'placed');
    for (let refused = 0; refused < 3; refused++)
      expect(await relay.pass(url).catch((error: unknown) => error)).to.be.instanceOf(NotTaken);
    expect(await relay.pass(url)).to.equal(2);
    expect(got).to.deep.equal([['a', 'b', 'c'], ...Array.from({ length: 4 }, () => ['b', 'd'])]);
    expect(errors).to.have.length(1);
    await relay.stop();
    server.closeAllConnections();
    server.close();
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
