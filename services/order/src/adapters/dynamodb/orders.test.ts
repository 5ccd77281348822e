import { sharedDynamoDbLocal, sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { type CloudEvent, days, after as later, minutes, type Subscriber } from '@mercato/kit';
import { expect } from 'chai';
import { subscribersUnderTest } from '../../orders-conformance.ts';
import { OrdersUnavailable, type Placement } from '../../ports/orders.ts';
import { DynamoPlace, type Fault, type FaultySend } from '../../testing/dynamo.ts';
import { noon, placement } from '../../testing/samples.ts';
import type { DynamoOrders } from './orders.ts';
import { FENCE, SILENCE } from './shards.ts';
import { SHARDS } from './table.ts';

const [operator, mailer] = subscribersUnderTest as [Subscriber, Subscriber];
const LIMITS = { events: 100, bytes: 1_000_000 };

describe('orders in DynamoDB', function () {
  // The emulator alone may take a minute to start.
  this.timeout(120_000);
  let place: DynamoPlace;
  const open: DynamoOrders[] = [];

  function replica(more: Parameters<DynamoPlace['replica']>[1] = {}) {
    const started = place.replica(subscribersUnderTest, more);
    open.push(started.orders);
    return started;
  }
  beforeEach(async () => {
    place = await DynamoPlace.create((await sharedDynamoDbLocal()).client);
  });
  afterEach(async () => {
    for (const orders of open.splice(0)) await orders.close();
    place.close();
  });

  const told = async (orders: DynamoOrders, to = operator): Promise<readonly CloudEvent[]> =>
    (await orders.outbox.unsent(to, LIMITS))?.events ?? [];
  const count = (faults: FaultySend, name: string) => faults.calls.filter((call) => call.name === name).length;
  const expectPlacedOnce = async (orders: DynamoOrders, { placed }: ReturnType<typeof placement>) => {
    expect(await orders.list(placed.order.terms.customer as never, { limit: 10 })).to.deep.equal([placed.order]);
    expect(await told(orders)).to.have.length(1);
  };

  describe('when DynamoDB fails', () => {
    const passing: Fault[] = [
      'conflict',
      'throttled part',
      'throttled',
      'throughput',
      'internal',
      'unsent',
      'answer lost',
    ];
    for (const fault of passing)
      it(`${fault}: placing, cancelling and hearing are tried again, and done once`, async () => {
        const { orders, faults } = replica();
        const wanted = placement();
        const { id } = wanted.placed.order;
        faults.fail(fault, 'TransactWriteItems', 2);
        expect(await orders.place(wanted)).to.deep.equal({ type: 'Recorded' });
        expect(count(faults, 'TransactWriteItems')).to.equal(3);
        await expectPlacedOnce(orders, wanted);
        faults.fail(fault, 'TransactWriteItems', 2);
        expect(await orders.requestCancel(id, { at: later(noon, minutes(1)) })).to.include({ type: 'Asked' });
        faults.fail(fault, 'TransactWriteItems', 2);
        const at = later(noon, minutes(2));
        expect(await orders.apply([{ orderId: id, sequence: 1, type: 'held' }], at)).to.deep.equal([
          { type: 'Applied', from: 'Cancelling', to: 'Held' },
        ]);
        expect((await orders.find(id))?.progress.version).to.equal(3);
        expect((await told(orders)).map(({ sequence }) => sequence)).to.deep.equal(['1', '2']);
        expect((await told(orders, mailer)).map(({ sequence }) => sequence)).to.deep.equal(['3']);
      });

    it('finds its own write by its record where no token helps any more', async () => {
      const { orders, faults } = replica();
      const wanted = placement();
      // As after ten minutes: DynamoDB takes the repeat for another transaction.
      let copies = 0;
      faults.plan = ({ name, input }) => {
        if (name !== 'TransactWriteItems') return undefined;
        (input as { ClientRequestToken?: string }).ClientRequestToken = `copy-${++copies}`;
        return copies === 1 ? 'answer lost' : undefined;
      };
      expect(await orders.place(wanted)).to.deep.equal({ type: 'Recorded' });
      expect(copies).to.equal(2);
      await expectPlacedOnce(orders, wanted);
    });

    it('says so when it does not pass, and takes the repeat of the request', async () => {
      const { orders, faults } = replica();
      const wanted = placement();
      faults.fail('throttled', 'TransactWriteItems', 1_000);
      const error: unknown = await orders.place(wanted).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(OrdersUnavailable);
      expect((error as Error).message).to.match(/TransactWriteItems on table .* it is throttled/);
      expect(count(faults, 'TransactWriteItems')).to.equal(8);
      faults.plan = () => undefined;
      expect(await orders.place(wanted)).to.deep.equal({ type: 'Recorded' });
    });

    it('answers the repeat of a request whose first copy was done although nobody was told', async () => {
      const { orders, faults } = replica({ patience: { tries: 1 } });
      const wanted = placement({}, { key: 'k' });
      faults.fail('answer lost', 'TransactWriteItems');
      expect(await orders.place(wanted).catch((thrown: unknown) => thrown)).to.be.instanceOf(OrdersUnavailable);
      const repeat = placement({}, { key: 'k' });
      expect(await orders.place(repeat)).to.deep.equal({ type: 'Replayed', answer: wanted.answer });
      await expectPlacedOnce(orders, wanted);
    });

    it('names the table that is missing, and what to do, at once', async () => {
      const { orders, faults } = replica({ table: 'nowhere' });
      const error: unknown = await orders.place(placement()).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(OrdersUnavailable);
      expect((error as Error).message)
        .to.include('no such table')
        .and.include('MERCATO_ORDERS_TABLE');
      expect(faults.calls).to.have.length(1);
    });

    it('sends again what it could not delete', async () => {
      const { orders, faults } = replica();
      await orders.place(placement());
      const found = await orders.outbox.unsent(operator, LIMITS);
      faults.fail('throttled', 'BatchWriteItem', 1_000);
      expect(await found?.markSent().catch((thrown: unknown) => thrown)).to.be.instanceOf(OrdersUnavailable);
      faults.plan = () => undefined;
      expect(await told(orders)).to.deep.equal(found?.events);
    });
  });

  it('writes order, key and event in one call, and reads without a scan', async () => {
    const { orders, faults } = replica();
    const wanted = placement();
    await orders.place(wanted);
    expect(faults.calls.map(({ name }) => name)).to.deep.equal(['TransactWriteItems']);
    expect((await place.items()).map(({ pk }) => pk?.S?.split('#')[0]).sort()).to.deep.equal([
      'key',
      'order',
      'outbox',
    ]);
  });

  it('takes a key again once it has expired, whether or not TTL has come by', async () => {
    const { orders } = replica();
    await orders.place(placement({}, { key: 'k' }));
    const before = placement({}, { key: 'k', at: later(noon, days(34)) });
    expect(await orders.place(before)).to.include({ type: 'Replayed' });
    const after = placement({}, { key: 'k', at: later(noon, days(35)) });
    expect(await orders.place(after)).to.deep.equal({ type: 'Recorded' });
  });

  it('keeps the payment token in the event for the saga and nowhere else, until it is sent', async () => {
    const { orders } = replica();
    const wanted: Placement = { ...placement({ paymentToken: 'tok_secret' }), fingerprint: 'a hash' };
    await orders.place(wanted);
    const holding = async () =>
      (await place.items()).filter((item) => JSON.stringify(item).includes('tok_secret')).map(({ pk }) => pk?.S);
    expect(await holding()).to.have.length(1);
    expect((await holding())[0]).to.match(/^outbox#http:\/\/operator\/events#/);
    await (await orders.outbox.unsent(operator, LIMITS))?.markSent();
    expect(await holding()).to.deep.equal([]);
  });

  it('spreads what waits over many partitions', async () => {
    const { orders } = replica();
    for (let i = 0; i < 40; i++) await orders.place(placement());
    const parts = new Set((await place.items()).map(({ pk }) => pk?.S).filter((pk) => pk?.startsWith('outbox#')));
    expect(parts.size).to.be.greaterThan(SHARDS / 2);
  });

  it('reads past all that rests, however much of it stands before the rest', async () => {
    const { orders } = replica();
    const resting = new Set<string>();
    for (let i = 0; i < 24; i++) {
      const wanted = placement();
      await orders.place(wanted);
      await orders.requestCancel(wanted.placed.order.id, { at: later(noon, minutes(1)) });
      resting.add(wanted.placed.order.id);
    }
    const refused = await orders.outbox.unsent(operator, LIMITS);
    await refused?.markSent(new Set(refused.events.keys()));
    const young = Array.from({ length: 24 }, () => placement());
    for (const wanted of young) await orders.place(wanted);
    const heard: string[] = [];
    for (;;) {
      const found = await orders.outbox.unsent(operator, { events: 4, bytes: 1_000_000 }, resting);
      if (found === undefined) break;
      heard.push(...found.events.map(({ subject }) => subject));
      await found.markSent();
    }
    expect(heard.sort()).to.deep.equal(young.map(({ placed }) => placed.order.id as string).sort());
    expect(await orders.outbox.backlog(operator)).to.equal(2 * resting.size);
  });

  describe('with several replicas', () => {
    let now = 0;
    const monotonic = () => now;
    beforeEach(() => {
      now = 0;
    });
    const drained = async (orders: DynamoOrders): Promise<CloudEvent[]> => {
      const all: CloudEvent[] = [];
      now += 1_000;
      for (let found = await orders.outbox.unsent(operator, LIMITS); found !== undefined; ) {
        all.push(...found.events);
        await found.markSent();
        found = await orders.outbox.unsent(operator, LIMITS);
      }
      return all;
    };
    const idsOf = (events: readonly CloudEvent[]) => events.map(({ subject }) => subject).sort();
    /** As their timers would have them do, twice: who has too much lets go in the first round. */
    const beat = async (...all: readonly DynamoOrders[]) => {
      for (let round = 0; round < 2; round++) for (const orders of all) await orders.shards.refresh();
    };

    it('shares the parts, each relayed by one, and hands them over in good order', async () => {
      const [a, b] = [replica({ monotonic }).orders, replica({ monotonic }).orders];
      expect(await told(a)).to.deep.equal([]);
      expect(await told(b)).to.deep.equal([]);
      await beat(a, b);
      const [ofA, ofB] = [a.shards.held(), b.shards.held()];
      expect([...ofA, ...ofB].sort((x, y) => x - y)).to.deep.equal(Array.from({ length: SHARDS }, (_, i) => i));
      expect(ofA).to.have.length(SHARDS / 2);
      const ids: string[] = [];
      for (let i = 0; i < 20; i++) {
        const wanted = placement();
        ids.push(wanted.placed.order.id);
        await (i % 2 === 0 ? a : b).place(wanted);
      }
      const [byA, byB] = [await drained(a), await drained(b)];
      expect(idsOf([...byA, ...byB])).to.deep.equal(ids.sort());
      const last = placement();
      await b.place(last);
      await b.close();
      await beat(a);
      expect(a.shards.held()).to.have.length(SHARDS);
      expect(idsOf(await drained(a))).to.deep.equal([last.placed.order.id]);
    });

    it("keeps an order's events in one part, whoever writes them", async () => {
      const [a, b] = [replica({ monotonic }).orders, replica({ monotonic }).orders];
      await told(a);
      await told(b);
      await beat(a, b);
      const wanted = placement();
      await a.place(wanted);
      await b.requestCancel(wanted.placed.order.id, { at: later(noon, minutes(1)) });
      expect(await drained(b)).to.deep.equal([]);
      expect((await drained(a)).map(({ sequence }) => sequence)).to.deep.equal(['1', '2']);
    });

    it('takes the parts of one that died, not before it has stopped by itself', async () => {
      const [dead, heir] = [replica({ monotonic }).orders, replica({ monotonic }).orders];
      await told(dead);
      const wanted = placement();
      await dead.place(wanted);
      await told(heir);
      await beat(heir);
      expect(heir.shards.held(), 'while it may live').to.deep.equal([]);
      now += FENCE;
      await beat(heir);
      expect(dead.shards.held(), 'after its fence').to.deep.equal([]);
      expect(heir.shards.held(), 'before it is given up').to.deep.equal([]);
      now += SILENCE - FENCE;
      await beat(heir);
      expect(heir.shards.held()).to.have.length(SHARDS);
      expect(idsOf(await drained(heir))).to.deep.equal([wanted.placed.order.id]);
    });

    it('does not hand a part over while something of it is being sent', async () => {
      const [a, b] = [replica({ monotonic }).orders, replica({ monotonic }).orders];
      await told(a);
      const sent: string[] = [];
      for (let i = 0; i < 40; i++) {
        const wanted = placement();
        sent.push(wanted.placed.order.id);
        await a.place(wanted);
      }
      const underWay = await a.outbox.unsent(operator, LIMITS);
      await told(b);
      await beat(a, b);
      expect(idsOf(await drained(b)), 'of none that is under way').to.deep.equal([]);
      await underWay?.markSent();
      await beat(a, b);
      expect(b.shards.held()).to.have.length(SHARDS / 2);
      expect(idsOf([...underWay!.events, ...(await drained(a)), ...(await drained(b))])).to.deep.equal(sent.sort());
    });
  });
});

describe('orders in MiniStack', function () {
  // The emulator alone may take a minute to start.
  this.timeout(120_000);

  it('are placed once, told, and followed to their end', async () => {
    const place = await DynamoPlace.create((await sharedMiniStack()).client);
    const { orders, faults } = place.replica(subscribersUnderTest);
    const wanted = placement({}, { key: 'k' });
    faults.fail('answer lost', 'TransactWriteItems');
    expect(await orders.place(wanted)).to.deep.equal({ type: 'Recorded' });
    expect(await orders.place(placement({}, { key: 'k' }))).to.deep.equal({ type: 'Replayed', answer: wanted.answer });
    const { id } = wanted.placed.order;
    const at = later(noon, minutes(1));
    const events = [
      { orderId: id, sequence: 1, type: 'held' },
      { orderId: id, sequence: 3, type: 'succeeded' },
    ] as const;
    expect((await orders.apply(events, at)).map(({ type }) => type)).to.deep.equal(['Applied', 'Applied']);
    expect((await orders.apply(events, at)).map(({ type }) => type)).to.deep.equal(['Stale', 'Duplicate']);
    const found = await orders.outbox.unsent(operator, LIMITS);
    expect(found?.events.map(({ subject }) => subject)).to.deep.equal([id]);
    await found?.markSent();
    expect(await orders.outbox.backlog(operator)).to.equal(0);
    expect(await orders.list('customer-1' as never, { limit: 5 })).to.have.length(1);
    await orders.close();
    place.close();
  });
});
