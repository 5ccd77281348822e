import { expect } from 'chai';
import fc from 'fast-check';
import { JwksTokenCheck } from '../auth/tokens.ts';
import { VirtualClock } from '../clock.ts';
import { createLogger } from '../log.ts';
import { ServiceMetrics } from '../metrics.ts';
import type { CloudEvent } from '../outbox/outbox.ts';
import { outboxMigrations } from '../outbox/outbox.ts';
import { Participant } from '../participant/participant.ts';
import { recordMigrations } from '../participant/record.ts';
import { ProblemError } from '../problem.ts';
import { type RunningService, startService } from '../service.ts';
import type { Tx } from '../store/port.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { SWEEP_ROWS } from '../sweep.ts';
import { TestClient } from '../testing/client.ts';
import { TestIssuer, testAudience, testSubject } from '../testing/issuer.ts';
import { days, instant } from '../units.ts';
import type { ReceivedEvent } from './event.ts';
import { type Effect, Inbox, type InboxOptions, inboxMigrations } from './inbox.ts';
import { eventsRoute } from './route.ts';

const event = (sequence: number, change: Partial<CloudEvent> = {}): CloudEvent => ({
  specversion: '1.0',
  id: `shop/checkout/o/${sequence}`,
  source: '/mercato/test',
  type: 'counted',
  subject: 'o',
  time: '2026-11-22T00:00:00Z',
  sequence: String(sequence),
  mercatonamespace: 'shop',
  mercatosaga: 'checkout',
  datacontenttype: 'application/json',
  data: { sequence },
  ...change,
});

const effects = {
  component: 'test',
  steps: [
    'CREATE TABLE effect (position INTEGER PRIMARY KEY, orderId TEXT NOT NULL, sequence INTEGER NOT NULL) STRICT;',
  ],
};

/** An inbox whose effect is a row, and which can be told to ignore or to fail. */
function bench(more: Partial<InboxOptions> = {}) {
  const clock = new VirtualClock(instant(Date.UTC(2026, 10, 22)));
  const store = new SqliteStore(openDatabase(':memory:'), {
    migrations: [recordMigrations, outboxMigrations, inboxMigrations, effects],
  });
  const ignored: string[] = [];
  const handle = (tx: Tx, { orderId, sequence, data }: ReceivedEvent): Effect => {
    if (data['nothing'] !== undefined) return { ignored: String(data['nothing']) };
    tx.run('INSERT INTO effect (orderId, sequence) VALUES (?, ?)', orderId, sequence);
    if (data['fails'] === true) throw new Error('the handler failed');
    return 'applied';
  };
  const inbox = new Inbox({
    store,
    clock,
    subscriptions: [{ source: '/mercato/test', types: ['counted', 'weighed'], handle }],
    onIgnored: ({ id }, why) => ignored.push(`${id} ${why}`),
    ...more,
  });
  const made = () =>
    store.read((reader) => reader.all<{ sequence: number }>('SELECT sequence FROM effect ORDER BY position'));
  const sequences = async () => (await made()).map(({ sequence }) => sequence);
  return { clock, store, inbox, ignored, sequences };
}

const none = { applied: 0, duplicate: 0, stale: 0, ignored: 0, unsubscribed: 0 };

describe('the inbox', () => {
  it('makes the effect of each event once', async () => {
    const { inbox, sequences } = bench();
    expect(await inbox.receive(event(1))).to.deep.equal({ ...none, applied: 1 });
    expect(await inbox.receive([event(1), event(2), event(2)])).to.deep.equal({ ...none, applied: 1, duplicate: 2 });
    expect(await sequences()).to.deep.equal([1, 2]);
  });

  it('ignores what is older than what it has of the order, by the number and not by the text', async () => {
    const { inbox, sequences } = bench();
    expect(await inbox.receive(event(9))).to.include({ applied: 1 });
    expect(await inbox.receive(event(10))).to.include({ applied: 1 });
    expect(await inbox.receive(event(2, { type: 'weighed' }))).to.deep.equal({ ...none, stale: 1 });
    expect(await inbox.receive(event(1, { id: 'another', subject: 'another order' }))).to.include({ applied: 1 });
    expect(await sequences()).to.deep.equal([9, 10, 1]);
  });

  it('takes what nobody subscribed to, and what is no order of ours, without a trace', async () => {
    const { inbox, sequences } = bench();
    const foreign = { specversion: '1.0', id: 'x', source: '/elsewhere', type: 'counted' };
    const body = [event(7, { type: 'painted' }), event(8, { source: '/mercato/other' }), foreign];
    expect(await inbox.receive(body)).to.deep.equal({ ...none, unsubscribed: 3 });
    expect(await inbox.receive([])).to.deep.equal(none);
    // A type that is not acted upon does not make older ones stale.
    expect(await inbox.receive(event(1))).to.include({ applied: 1 });
    expect(await sequences()).to.deep.equal([1]);
  });

  it('tells what had no effect, once', async () => {
    const { inbox, ignored, sequences } = bench();
    const odd = event(1, { data: { nothing: 'no such order' } });
    expect(await inbox.receive(odd)).to.deep.equal({ ...none, ignored: 1 });
    expect(await inbox.receive(odd)).to.deep.equal({ ...none, duplicate: 1 });
    expect(ignored).to.deep.equal(['shop/checkout/o/1 no such order']);
    expect(await sequences()).to.deep.equal([]);
  });

  it('takes all of a delivery back when one event of it fails, and then takes it whole', async () => {
    const { inbox, ignored, sequences } = bench();
    const odd = event(2, { data: { nothing: 'odd' } });
    const failure = await inbox.receive([event(1), odd, event(3, { data: { fails: true } })]).catch(String);
    expect(failure).to.include('the handler failed');
    expect([await sequences(), ignored]).to.deep.equal([[], []]);
    expect(await inbox.receive([event(1), odd, event(3)])).to.deep.equal({ ...none, applied: 2, ignored: 1 });
    expect(await sequences()).to.deep.equal([1, 3]);
  });

  const wrong: [string, unknown, string][] = [
    ['no object', 'text', 'event 0: /'],
    ['another version', [event(1), { ...event(2), specversion: '0.3' }], 'event 1: /specversion'],
    ['no id', event(1, { id: '' }), 'event 0: /id'],
    ['no order', { ...event(1), subject: undefined }, 'event 0: /subject'],
    ['no namespace', { ...event(1), mercatonamespace: 7 }, 'event 0: /mercatonamespace'],
    ['a sequence that is no number', event(1, { sequence: '1a' }), 'event 0: /sequence'],
    ['a sequence that no number holds', event(1, { sequence: '9'.repeat(17) }), 'event 0: /sequence'],
    ['data that is no object', { ...event(1), data: 'x' }, 'event 0: /data'],
  ];
  for (const [what, body, said] of wrong) {
    it(`refuses ${what}, and says where it is`, async () => {
      const { inbox, sequences } = bench();
      const failure = await inbox.receive(body).catch((error: unknown) => error);
      expect(failure).to.be.instanceOf(ProblemError);
      expect((failure as ProblemError).problem.status).to.equal(400);
      expect((failure as ProblemError).problem.detail).to.include(said);
      expect(await sequences()).to.deep.equal([]);
    });
  }

  it('forgets what is older than the retention, and nothing else', async () => {
    const { inbox, clock, store } = bench({ retention: days(35) });
    await inbox.receive(event(1));
    clock.advance(days(34));
    await inbox.receive(event(1, { id: 'p', subject: 'p' }));
    expect(await inbox.sweep()).to.equal(0);
    clock.advance(days(2));
    expect(await inbox.sweep()).to.equal(2);
    const left = await store.read((reader) => reader.all('SELECT stream FROM inbox_sequence'));
    expect(left).to.deep.equal([{ stream: 'shop/checkout/p' }]);
  });

  it('forgets all that is due at each turn, a little at a time', async () => {
    const { inbox, clock, store } = bench({ retention: days(1) });
    const due = 2 * SWEEP_ROWS + 1;
    const orders = Array.from({ length: due }, (_, n) => event(1, { id: `${n}`, subject: `o-${n}` }));
    for (let from = 0; from < due; from += 100) await inbox.receive(orders.slice(from, from + 100));
    const left = () => store.read((reader) => reader.get<{ n: number }>('SELECT count(*) AS n FROM inbox_event')!.n);
    clock.advance(days(2));
    expect(await inbox.sweep(), 'of each table').to.equal(2 * SWEEP_ROWS);
    await inbox.task.run(new AbortController().signal);
    expect(await left()).to.equal(0);
  });

  it('leaves a sweep to the next process when this one stops', async () => {
    const { inbox, clock, store } = bench({ retention: days(1) });
    await inbox.receive(event(1));
    clock.advance(days(2));
    await inbox.task.run(AbortSignal.abort());
    expect(await store.read((reader) => reader.all('SELECT 1 FROM inbox_event'))).to.have.lengthOf(1);
  });

  it('makes effects in their order and at most once, however deliveries are cut, doubled and reordered', async () => {
    const deliveries = fc.array(fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 5 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(deliveries, async (all) => {
        const { inbox, sequences } = bench();
        for (const each of all) await inbox.receive(each.map((sequence) => event(sequence)));
        const made = await sequences();
        expect(made).to.deep.equal([...new Set(made)].sort((a, b) => a - b));
        expect(made.at(-1) ?? 0, 'the newest is never lost').to.equal(Math.max(0, ...all.flat()));
      }),
      { numRuns: 60 },
    );
  });
});

describe('POST /events', () => {
  const sender = 'system:serviceaccount:mercato-system:mercato-shipping';
  let issuer: TestIssuer;
  let service: RunningService;
  let client: TestClient;
  let parts: ReturnType<typeof bench>;
  let metrics: ServiceMetrics;

  beforeEach(async () => {
    issuer = await TestIssuer.start();
    metrics = new ServiceMetrics('test');
    parts = bench({ onReceived: metrics.onReceived });
    const { jwksUrl } = issuer;
    service = await startService(
      {
        name: 'test',
        version: '1',
        store: parts.store,
        participant: new Participant({ store: parts.store, commands: [] }),
        tokens: new JwksTokenCheck({
          issuer: issuer.issuer,
          audience: testAudience,
          jwksUrl,
          allowedSubjects: [testSubject],
        }),
        logger: createLogger('test', 'silent'),
        metrics,
        routes: [eventsRoute(parts.inbox, [sender])],
      },
      0,
      '127.0.0.1',
    );
    client = new TestClient(service.url, await issuer.mint({ subject: sender }), new Date().toISOString());
  });
  afterEach(async () => {
    await client.close();
    await service.close();
    await issuer.close();
  });

  const post = (body: unknown, headers: Record<string, string> = {}) =>
    client.call('POST', '/events', body, { 'content-type': 'application/cloudevents-batch+json', ...headers });

  it('takes structured and batched mode, and counts what came of them', async () => {
    const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
    expect(await post(event(1), structured)).to.deep.include({ status: 200, body: { ...none, applied: 1 } });
    expect(await post([event(1), event(2)])).to.deep.include({
      status: 200,
      body: { ...none, applied: 1, duplicate: 1 },
    });
    const page = await metrics.registry.metrics();
    expect(page).to.match(/mercato_inbox_events_total\{outcome="applied",service="test"\} 2/);
    expect(page).to.match(/mercato_inbox_events_total\{outcome="duplicate",service="test"\} 1/);
  });

  it('believes its senders only, and lets them do nothing else', async () => {
    const operator = { authorization: `Bearer ${await issuer.mint({ subject: testSubject })}` };
    expect((await post([event(1)], operator)).status).to.equal(403);
    expect((await post([event(1)], { authorization: '' })).status).to.equal(401);
    const foreign = { authorization: `Bearer ${await issuer.mint({ subject: sender, audience: 'another' })}` };
    expect((await post([event(1)], foreign)).status).to.equal(401);
    expect(await parts.sequences()).to.deep.equal([]);
    expect((await client.call('POST', '/saga/batch', { items: [] })).status).to.equal(403);
  });

  it('refuses what is no JSON of events, or too large', async () => {
    expect((await post('not JSON')).status).to.equal(400);
    expect((await post(event(1), { 'content-type': 'application/json' })).status).to.equal(415);
    expect((await post(Array.from({ length: 1001 }, (_, i) => event(i + 1)))).status).to.equal(413);
    expect((await post(event(1, { data: { fat: 'x'.repeat(1024 * 1024) } }))).status).to.equal(413);
    expect(await parts.sequences()).to.deep.equal([]);
  });

  it('answers 500 when an effect fails, so that the sender tries again', async () => {
    expect((await post([event(1), event(2, { data: { fails: true } })])).status).to.equal(500);
    expect(await parts.sequences()).to.deep.equal([]);
    expect((await post([event(1), event(2)])).body).to.deep.equal({ ...none, applied: 2 });
  });
});
