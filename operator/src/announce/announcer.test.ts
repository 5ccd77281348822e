import { expect } from 'chai';
import { Registry } from 'prom-client';
import { JournalUnavailable } from '../journals/journal.ts';
import type { Announcement, WrittenAnnouncement } from '../journals/worker-journal.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/logger.ts';
import type { Announce, Announcements } from './announce.ts';
import { Announcer, NotTold } from './announcer.ts';
import type { AnnouncedEvent } from './event.ts';
import { announcerMetrics } from './metrics.ts';

/** What waits to be told, as a journal has it. */
class Written implements Announcements {
  readonly waiting = new Map<string, WrittenAnnouncement>();
  isAway = false;

  write(order: string, sequence: number, at: number): void {
    const id = { namespace: 'shop', saga: 'checkout', orderId: order };
    const receipt = `${order}/${sequence}`;
    const type = sequence % 2 === 1 ? 'held' : 'resumed';
    this.waiting.set(receipt, { announcement: { id, sequence, type, at, reason: 'StepFailed' }, receipt });
  }
  async unannounced(limit: number): Promise<readonly WrittenAnnouncement[]> {
    if (this.isAway) throw new JournalUnavailable('the test says so');
    return [...this.waiting.values()].slice(0, limit);
  }
  async announced(receipts: readonly string[]): Promise<void> {
    if (this.isAway) throw new JournalUnavailable('the test says so');
    for (const receipt of receipts) this.waiting.delete(receipt);
  }
}

class Listener implements Announce {
  readonly name: string;
  readonly heard: AnnouncedEvent[] = [];
  /** How many deliveries it refuses. */
  refuses = 0;
  isClosed = false;

  constructor(name: string) {
    this.name = name;
  }
  async send(events: readonly AnnouncedEvent[]): Promise<void> {
    if (this.refuses-- > 0) throw new Error('not now');
    this.heard.push(...events);
  }
  async close(): Promise<void> {
    this.isClosed = true;
  }
}

describe('The announcer', () => {
  let clock: VirtualClock;
  let written: Written;
  let listeners: Listener[];
  let registry: Registry;
  let stopping: AbortController;
  let ended: Promise<void>;

  const start = (...names: string[]): Announcer => {
    clock = new VirtualClock();
    written = new Written();
    listeners = names.map((name) => new Listener(name));
    registry = new Registry();
    stopping = new AbortController();
    const announcer = new Announcer({
      source: written,
      subscribers: listeners,
      metrics: announcerMetrics(registry),
      clock,
      logger: silentLogger,
      ready: async () => undefined,
    });
    ended = announcer.start(stopping.signal);
    return announcer;
  };
  /** Lets so many milliseconds pass, and everything happen that falls due. */
  const pass = async (millis: number): Promise<void> => {
    for (let at = 0; at < millis; at += 10) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      clock.advance(10);
    }
  };
  const heard = (listener: Listener | undefined): string[] => (listener?.heard ?? []).map(({ id }) => id);

  afterEach(async () => {
    stopping.abort();
    await pass(50);
    await ended;
    expect(listeners.every(({ isClosed }) => isClosed)).to.equal(true);
  });

  it('tells each subscriber in order, soon after it is woken, and lets the journal forget', async () => {
    const announcer = start('order', 'audit');
    await pass(100);
    written.write('a', 1, clock.wall());
    written.write('a', 2, clock.wall());
    announcer.wake();
    await pass(100);
    for (const listener of listeners) expect(heard(listener)).to.deep.equal(['shop/checkout/a/1', 'shop/checkout/a/2']);
    expect(written.waiting.size).to.equal(0);
    expect(listeners[0]?.heard[0]).to.deep.equal({
      specversion: '1.0',
      id: 'shop/checkout/a/1',
      source: '/mercato/operator',
      type: 'dev.mercato.saga.held',
      subject: 'a',
      time: '2026-01-01T00:00:00.100Z',
      sequence: '1',
      mercatonamespace: 'shop',
      mercatosaga: 'checkout',
      datacontenttype: 'application/json',
      data: { reason: 'StepFailed' },
    });
  });

  it('finds by itself what nobody woke it for', async () => {
    start('order');
    await pass(100);
    written.write('a', 1, clock.wall());
    await pass(1_200);
    expect(heard(listeners[0])).to.deep.equal(['shop/checkout/a/1']);
  });

  it('tells again who did not take it, keeps what is told until then, and holds up nobody else', async () => {
    const announcer = start('order', 'audit');
    const [order, audit] = listeners as [Listener, Listener];
    audit.refuses = 3;
    for (let sequence = 1; sequence <= 250; sequence++) written.write('a', sequence, clock.wall());
    announcer.wake();
    await pass(150);
    expect(order.heard).to.have.length(250);
    expect(audit.heard).to.have.length(0);
    expect(written.waiting.size).to.equal(250);
    expect(await registry.metrics()).to.contain('mercato_announcements_waiting{subscriber="audit"} 250');
    await pass(4_000);
    expect(heard(audit)).to.deep.equal(heard(order));
    expect(new Set(heard(order)).size).to.equal(250);
    expect(written.waiting.size).to.equal(0);
    expect(await registry.metrics()).to.contain('mercato_announcements_total{subscriber="audit",outcome="Failed"} 300');
  });

  const refusal = (orderId: string): Announcement => ({
    id: { namespace: 'shop', saga: 'checkout', orderId },
    sequence: 0,
    type: 'refused',
    at: clock.wall(),
    reason: 'SagaNotFound',
  });

  it('tells what no journal keeps, once to each, and says when all have it', async () => {
    const announcer = start('order', 'audit');
    const [order, audit] = listeners as [Listener, Listener];
    audit.refuses = 2;
    let told = 0;
    // Who asks again meanwhile waits for the same telling.
    for (let i = 0; i < 2; i++) void announcer.tell(refusal('a')).then(() => told++);
    await pass(150);
    expect([heard(order), heard(audit), told]).to.deep.equal([['shop/checkout/a/0'], [], 0]);
    await pass(2_000);
    expect([heard(order), heard(audit), told]).to.deep.equal([['shop/checkout/a/0'], ['shop/checkout/a/0'], 2]);
    expect(order.heard[0]).to.include({ type: 'dev.mercato.saga.refused', sequence: '0' });
  });

  it('says after five seconds that somebody was not told, and tells them later all the same', async () => {
    const announcer = start('order', 'audit');
    (listeners[1] as Listener).refuses = 6;
    const failure = announcer.tell(refusal('a')).catch((error: Error) => error);
    await pass(5_100);
    expect(await failure)
      .to.be.instanceOf(NotTold)
      .with.property('message')
      .which.matches(/5 s: see audit$/);
    await pass(15_000);
    expect(heard(listeners[1])).to.deep.equal(['shop/checkout/a/0']);
  });

  it('lets only so many wait to be told', async () => {
    const announcer = start('order');
    (listeners[0] as Listener).refuses = Number.POSITIVE_INFINITY;
    const failures: Promise<Error | undefined>[] = [];
    for (let i = 0; i < 1_001; i++)
      failures.push(
        announcer.tell(refusal(`o${i}`)).then(
          () => undefined,
          (error: Error) => error,
        ),
      );
    expect((await failures.at(-1))?.message).to.contain('1000 others wait');
    await pass(5_100);
    expect((await failures[0])?.message).to.contain('could not be told');
  });

  it('has told all where there is nobody to tell', async () => {
    await start().tell(refusal('a'));
  });

  it('waits for a journal that is away, and forgets nothing that was told meanwhile', async () => {
    const announcer = start('order');
    await pass(50);
    written.isAway = true;
    written.write('a', 1, clock.wall());
    announcer.wake();
    await pass(3_000);
    expect(heard(listeners[0])).to.deep.equal([]);
    written.isAway = false;
    await pass(3_000);
    expect(heard(listeners[0])).to.deep.equal(['shop/checkout/a/1']);
    expect(written.waiting.size).to.equal(0);
  });

  it('takes what is to be told for told where there is nobody to tell', async () => {
    start();
    written.write('a', 1, clock.wall());
    await pass(1_200);
    expect(written.waiting.size).to.equal(0);
  });
});
