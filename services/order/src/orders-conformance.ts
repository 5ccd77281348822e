import { after, type CloudEvent, days, minutes, type OutboxSource, type Subscriber } from '@mercato/kit';
import { expect } from 'chai';
import fc from 'fast-check';
import { customerEventTypes, type Shop, sagaEventTypes } from './domain/events.ts';
import { type CustomerId, newOrderId, type OrderId } from './domain/ids.ts';
import { hear, type Order, placed, type SagaEvent } from './domain/order.ts';
import type { Forgetting, Orders } from './ports/orders.ts';
import { noon, placement, shop } from './testing/samples.ts';

/** What the suite drives: an adapter, and the outbox that it writes. */
export interface OrdersUnderTest {
  readonly orders: Orders;
  readonly outbox: OutboxSource;
}

/** How the suite gets one. */
export interface OrdersSubject {
  /** An empty store. */
  open(shop: Shop): Promise<OrdersUnderTest>;
  /** The same store, by another process: the one before was closed. */
  reopen(shop: Shop): Promise<OrdersUnderTest>;
  /** Called after each test; the adapter is closed. */
  discard(): Promise<void>;
  /** Forgets what is old, where the store does that by itself after a time. @returns how much @default the adapter's own sweep */
  forget?(forgetting: Forgetting): Promise<number>;
}

const saga: Subscriber = { url: 'http://operator/events', types: sagaEventTypes };
const mailer: Subscriber = { url: 'http://mailer/events', types: customerEventTypes };
/** Who is told of events in the suite. */
export const subscribersUnderTest: readonly Subscriber[] = [saga, mailer];

/** As `placed 1`, one for each event. */
const story = (events: readonly CloudEvent[]): string[] =>
  events.map(({ type, sequence }) => `${type.split('.').at(-1)} ${sequence}`);

const later = (count: number) => after(noon, minutes(count));

/**
 * The mocha suite that every adapter of {@link Orders} passes, over a real store. Nothing in it knows which.
 */
export function describeOrders(name: string, subject: OrdersSubject): void {
  describe(`orders in ${name}`, () => {
    let orders: Orders;
    let outbox: OutboxSource;

    beforeEach(async () => {
      ({ orders, outbox } = await subject.open(shop));
    });
    afterEach(async () => {
      await orders.close();
      await subject.discard();
    });

    /** Everything that a subscriber has not had yet, marked as sent. */
    async function drain(subscriber: Subscriber): Promise<CloudEvent[]> {
      const all: CloudEvent[] = [];
      for (;;) {
        const found = await outbox.unsent(subscriber, { events: 3, bytes: 1_000_000 });
        if (found === undefined) return all;
        all.push(...found.events);
        await found.markSent();
      }
    }
    async function place(change: Parameters<typeof placement>[0] = {}, more: Parameters<typeof placement>[1] = {}) {
      const wanted = placement(change, more);
      expect(await orders.place(wanted)).to.deep.equal({ type: 'Recorded' });
      return wanted.placed.order;
    }
    const say = (order: Order, sequence: number, type: SagaEvent['type'], reason?: string): SagaEvent => ({
      orderId: order.id,
      sequence,
      type,
      ...(reason === undefined ? {} : { reason }),
    });
    const stateOf = async ({ id }: Order) => (await orders.find(id))?.progress.state;

    describe('placing', () => {
      it('keeps order, event and answer together', async () => {
        const wanted = placement();
        expect(await orders.place(wanted)).to.deep.equal({ type: 'Recorded' });
        expect(await orders.find(wanted.placed.order.id)).to.deep.equal(wanted.placed.order);
        expect(await drain(saga)).to.deep.equal([wanted.placed.event]);
        expect(await drain(saga), 'once it is marked').to.deep.equal([]);
        expect(await orders.place(wanted)).to.deep.equal({ type: 'Replayed', answer: wanted.answer });
      });

      it('answers a key as it did, although the repeat decided otherwise', async () => {
        const first = placement({}, { key: 'k' });
        await orders.place(first);
        const again = placement({}, { key: 'k', at: later(1) });
        expect(again.placed.order.id).not.to.equal(first.placed.order.id);
        expect(await orders.place(again)).to.deep.equal({ type: 'Replayed', answer: first.answer });
        expect(await orders.find(again.placed.order.id)).to.equal(undefined);
        expect(story(await drain(saga))).to.deep.equal(['placed 1']);
      });

      it('places one of several racing copies, and answers all alike', async () => {
        const copies = Array.from({ length: 8 }, () => placement({}, { key: 'k' }));
        const answers = await Promise.all(copies.map((copy) => orders.place(copy)));
        const winner = answers.findIndex(({ type }) => type === 'Recorded');
        const {
          answer,
          placed: { order },
        } = copies[winner]!;
        for (const [i, each] of answers.entries())
          if (i !== winner) expect(each).to.deep.equal({ type: 'Replayed', answer });
        expect(await orders.list('customer-1' as CustomerId, { limit: 10 })).to.deep.equal([order]);
        expect(await drain(saga)).to.have.length(1);
      });

      it('refuses a key that was used for something else', async () => {
        await place({}, { key: 'k' });
        const other = placement({ customer: 'customer-2' }, { key: 'k' });
        expect(await orders.place(other)).to.deep.equal({ type: 'Mismatch' });
        expect(await orders.find(other.placed.order.id)).to.equal(undefined);
        expect(await drain(saga)).to.have.length(1);
      });

      it('keeps the keys of callers apart', async () => {
        await place({}, { key: 'k', caller: 'gateway' });
        await place({}, { key: 'k', caller: 'shop-floor' });
        expect(await orders.list('customer-1' as CustomerId, { limit: 10 })).to.have.length(2);
      });

      it('remembers a refusal, which makes no order and tells nobody', async () => {
        const { placed: _none, ...said } = placement({}, { key: 'k' });
        const refusal = { ...said, answer: { status: 422, body: '{"reason":"TotalTooLarge"}' } };
        expect(await orders.place(refusal)).to.deep.equal({ type: 'Recorded' });
        expect(await orders.place(placement({}, { key: 'k' }))).to.deep.equal({
          type: 'Replayed',
          answer: refusal.answer,
        });
        expect(await drain(saga)).to.deep.equal([]);
        expect(await orders.list('customer-1' as CustomerId, { limit: 10 })).to.deep.equal([]);
      });

      it('takes the largest order that there is', async () => {
        const lines = Array.from({ length: 100 }, (_, i) => ({
          sku: `${i}`.padStart(16, 'x'),
          quantity: 1_000_000,
          unitPrice: 90_000_000,
        }));
        const text = '\u{1F600}'.repeat(32);
        const shipTo = { name: text, line1: text, line2: text, city: text, country: 'GB' };
        const order = await place({ lines, shipTo });
        expect(await orders.find(order.id)).to.deep.equal(order);
        expect(await drain(saga)).to.have.length(1);
      });

      it('remembers all of it for another process', async () => {
        const wanted = placement({}, { key: 'k' });
        await orders.place(wanted);
        await orders.requestCancel(wanted.placed.order.id, { at: later(1) });
        const before = await orders.find(wanted.placed.order.id);
        await orders.close();
        ({ orders, outbox } = await subject.reopen(shop));
        expect(await orders.find(wanted.placed.order.id)).to.deep.equal(before);
        expect(await orders.place(wanted)).to.deep.equal({ type: 'Replayed', answer: wanted.answer });
        expect(story(await drain(saga))).to.deep.equal(['placed 1', 'cancel-requested 2']);
        expect([...(await orders.open())].filter(([, count]) => count > 0)).to.deep.equal([['Cancelling', 1]]);
      });
    });

    describe('listing', () => {
      it("shows a customer's orders, newest first, in pages that new orders do not move", async () => {
        const mine: Order[] = [];
        for (let i = 0; i < 5; i++) mine.unshift(await place({}, { at: later(i) }));
        await place({ customer: 'customer-2' }, { at: later(2) });
        const customer = 'customer-1' as CustomerId;
        const first = await orders.list(customer, { limit: 2 });
        expect(first).to.deep.equal(mine.slice(0, 2));
        await place({}, { at: later(9) });
        const second = await orders.list(customer, { before: first.at(-1)!.id, limit: 2 });
        expect(second).to.deep.equal(mine.slice(2, 4));
        expect(await orders.list(customer, { before: second.at(-1)!.id, limit: 2 })).to.deep.equal(mine.slice(4));
        expect(await orders.list('nobody' as CustomerId, { limit: 2 })).to.deep.equal([]);
      });

      it('does not know what is not there', async () => {
        expect(await orders.find(newOrderId(noon))).to.equal(undefined);
      });
    });

    describe('cancelling', () => {
      it('asks the saga once, whoever asks how often', async () => {
        const { id } = await place();
        const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
        const asked = await orders.requestCancel(id, { at: later(1), reason: 'changed my mind', traceparent });
        expect(asked).to.deep.include({ type: 'Asked' });
        const now = await orders.find(id);
        expect(asked).to.have.property('order').which.deep.equals(now);
        expect(now?.progress).to.deep.include({
          state: 'Cancelling',
          version: 2,
          updatedAt: later(1),
          cancel: { at: later(1), reason: 'changed my mind' },
        });
        const again = await orders.requestCancel(id, { at: later(2), reason: 'really' });
        expect(again).to.deep.equal({ type: 'Standing', order: now });
        const [, told, ...more] = await drain(saga);
        expect(more).to.deep.equal([]);
        expect(told).to.deep.include({
          type: 'dev.mercato.order.cancel-requested',
          id: `shop/checkout/${id}/2`,
          source: '/mercato/order',
          subject: id,
          sequence: '2',
          data: { reason: 'changed my mind' },
          traceparent,
        });
      });

      it('asks the saga once in a race', async () => {
        const { id } = await place();
        const answers = await Promise.all(Array.from({ length: 6 }, () => orders.requestCancel(id, { at: later(1) })));
        expect(answers.map(({ type }) => type).sort()).to.deep.equal(['Asked', ...Array(5).fill('Standing')]);
        expect(story(await drain(saga))).to.deep.equal(['placed 1', 'cancel-requested 2']);
      });

      it('comes too late for an order that is over, and finds none that is not there', async () => {
        const order = await place();
        await orders.apply([say(order, 1, 'succeeded')], later(1));
        expect(await orders.requestCancel(order.id, { at: later(2) })).to.deep.include({ type: 'Over' });
        expect(await orders.requestCancel(newOrderId(noon), { at: later(2) })).to.deep.equal({ type: 'NotFound' });
        expect(story(await drain(saga))).to.deep.equal(['placed 1']);
      });
    });

    describe('hearing the saga', () => {
      it('moves an order, and tells its customer in words of theirs', async () => {
        const order = await place();
        const applied = await orders.apply([say(order, 1, 'compensated', 'CardDeclined')], later(3));
        expect(applied).to.deep.equal([{ type: 'Applied', from: 'Placed', to: 'Failed' }]);
        const { progress } = (await orders.find(order.id))!;
        expect(progress).to.deep.include({ state: 'Failed', version: 2, heard: 1, updatedAt: later(3) });
        const [told] = await drain(mailer);
        expect(told).to.deep.include({
          type: 'dev.mercato.order.failed',
          id: `shop/checkout/${order.id}/2`,
          sequence: '2',
          data: {
            customer: 'customer-1',
            state: 'Failed',
            reason: 'CardDeclined',
            message: 'Your bank declined the payment. You have not been charged.',
          },
        });
      });

      it('tells each subscriber its types only: the token goes to the saga, the news to the customer', async () => {
        const order = await place();
        await orders.apply([say(order, 1, 'held', 'StepFailed')], later(1));
        await orders.requestCancel(order.id, { at: later(2) });
        await orders.apply([say(order, 2, 'resumed'), say(order, 3, 'compensated', 'Cancelled')], later(3));
        const customers = await drain(mailer);
        expect(story(customers)).to.deep.equal(['held 2', 'cancelled 5']);
        expect(JSON.stringify(customers)).not.to.contain('tok_');
        expect(story(await drain(saga))).to.deep.equal(['placed 1', 'cancel-requested 3']);
        expect(await stateOf(order)).to.equal('Cancelled');
      });

      it('drops duplicates and what is older than what it has', async () => {
        const order = await place();
        const held = say(order, 1, 'held');
        const resumed = say(order, 2, 'resumed');
        expect(await orders.apply([resumed, resumed, held], later(1))).to.deep.equal([
          { type: 'Applied', from: 'Placed', to: 'Placed' },
          { type: 'Duplicate' },
          { type: 'Stale' },
        ]);
        expect(await orders.apply([held], later(2))).to.deep.equal([{ type: 'Stale' }]);
        expect(await stateOf(order)).to.equal('Placed');
        expect(await drain(mailer)).to.deep.equal([]);
      });

      it('refuses what the table of transitions does not allow, and orders that there are not', async () => {
        const order = await place();
        const nobody: SagaEvent = { orderId: newOrderId(noon), sequence: 1, type: 'held' };
        const answers = await orders.apply([say(order, 1, 'succeeded'), nobody, say(order, 2, 'held')], later(1));
        expect(answers.map(({ type }) => type)).to.deep.equal(['Applied', 'Refused', 'Refused']);
        expect(await stateOf(order)).to.equal('Completed');
        expect(story(await drain(mailer))).to.deep.equal(['completed 2']);
      });

      it('takes one event in once, however many deliver it at the same time', async () => {
        const order = await place();
        const event = say(order, 1, 'held');
        const all = await Promise.all(Array.from({ length: 6 }, () => orders.apply([event], later(1))));
        expect(all.flat().filter(({ type }) => type === 'Applied')).to.have.length(1);
        expect(story(await drain(mailer))).to.deep.equal(['held 2']);
      });

      it('tells that an order was refused, once, and what its saga does if one is begun after all', async () => {
        const order = await place();
        const refused = { ...say(order, 0, 'refused'), reason: 'SagaNotFound' };
        const answers = await orders.apply([refused, refused], later(1));
        expect(answers.map(({ type }) => type)).to.deep.equal(['Applied', 'Duplicate']);
        expect(await stateOf(order)).to.equal('Failed');
        expect((await orders.open()).get('Placed') ?? 0).to.equal(0);
        expect(await orders.apply([say(order, 1, 'held')], later(2))).to.deep.equal([
          { type: 'Applied', from: 'Failed', to: 'Held' },
        ]);
        expect((await orders.open()).get('Held')).to.equal(1);
        expect((await orders.apply([refused], later(3)))[0]?.type).to.equal('Stale');
        await orders.apply([say(order, 2, 'resumed'), say(order, 3, 'succeeded')], later(4));
        expect(await stateOf(order)).to.equal('Completed');
        const told = (await drain(mailer)).map(
          ({ type, data }) => `${type.split('.').at(-1)} ${data['reason'] ?? '-'}`,
        );
        expect(told).to.deep.equal(['failed NotPossible', 'held NeedsAttention', 'completed -']);
      });

      it('lets a cancel and an end race, and either win', async () => {
        for (let i = 0; i < 5; i++) {
          const order = await place();
          const [answer] = await Promise.all([
            orders.requestCancel(order.id, { at: later(1) }),
            orders.apply([say(order, 1, 'succeeded')], later(1)),
          ]);
          expect(answer.type).to.be.oneOf(['Asked', 'Over']);
          expect(await stateOf(order)).to.equal('Completed');
          const told = (await drain(saga)).filter(({ subject }) => subject === order.id);
          expect(told).to.have.length(answer.type === 'Asked' ? 2 : 1);
        }
      });

      it('does as the rules say, whatever comes in what order', async () => {
        const event = fc.record({
          sequence: fc.integer({ min: 1, max: 8 }),
          type: fc.constantFrom<SagaEvent['type']>('held', 'resumed', 'succeeded', 'compensated', 'aborted'),
          reason: fc.constantFrom('Cancelled', 'OutOfStock', 'Anything'),
        });
        const refusal = fc.constant({ sequence: 0, type: 'refused', reason: 'SagaNotFound' } as const);
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(fc.oneof(event, refusal), { maxLength: 4 }), { maxLength: 4 }),
            async (deliveries) => {
              const order = await place();
              let expected = placed(noon);
              for (const [i, delivery] of deliveries.entries()) {
                const events = delivery.map((each) => ({ ...each, orderId: order.id }));
                for (const each of events) {
                  const heard = hear(expected, each, later(i));
                  if (heard.type === 'Applied') expected = heard.progress;
                }
                await orders.apply(events, later(i));
              }
              expect((await orders.find(order.id))?.progress).to.deep.equal(expected);
            },
          ),
          { numRuns: 30 },
        );
      });
    });

    describe('its outbox', () => {
      it("keeps each order's events in their sequence, in as many parts as they come", async () => {
        const all = await Promise.all(Array.from({ length: 10 }, () => place()));
        await Promise.all(all.map(({ id }) => orders.requestCancel(id, { at: later(1) })));
        const sequences = new Map<string, number[]>();
        for (const { subject, sequence } of await drain(saga))
          sequences.set(subject, [...(sequences.get(subject) ?? []), Number(sequence)]);
        expect([...sequences.keys()].sort()).to.deep.equal(all.map(({ id }) => id as string).sort());
        for (const each of sequences.values()) expect(each).to.deep.equal([1, 2]);
      });

      it('gives what was not marked again, and says how much waits for whom', async () => {
        const order = await place();
        await orders.apply([say(order, 1, 'held')], later(1));
        const limits = { events: 10, bytes: 1_000_000 };
        const first = await outbox.unsent(saga, limits);
        expect((await outbox.unsent(saga, limits))?.events).to.deep.equal(first?.events);
        expect([await outbox.backlog(saga), await outbox.backlog(mailer)]).to.deep.equal([1, 1]);
        await first?.markSent();
        expect([await outbox.backlog(saga), await outbox.backlog(mailer)]).to.deep.equal([0, 1]);
      });

      it('gives again what was not taken, holds nothing else up while it rests, and lets nothing of its order overtake it', async () => {
        const all = await Promise.all(Array.from({ length: 8 }, () => place()));
        const denied: string = all[0]!.id;
        const resting = new Set([denied]);
        /** Everything that is handed out, of which all but the denied order's is taken. */
        const pass = async (rest?: ReadonlySet<string>, events = 100) => {
          const heard: string[] = [];
          for (;;) {
            const found = await outbox.unsent(saga, { events, bytes: 1_000_000 }, rest);
            const subjects = found?.events.map(({ subject }) => subject) ?? [];
            heard.push(...subjects);
            await found?.markSent(new Set([...subjects.keys()].filter((at) => subjects[at] === denied)));
            if (found === undefined || (rest === undefined && subjects.includes(denied))) return heard;
          }
        };
        const heard = [...(await pass()), ...(await pass(resting))];
        expect(heard.sort()).to.deep.equal(all.map(({ id }) => id as string).sort());
        expect(await outbox.backlog(saga)).to.equal(1);
        await orders.requestCancel(all[0]!.id, { at: later(1) });
        const next = await Promise.all([place(), place()]);
        expect((await pass(resting, 1)).sort()).to.deep.equal(next.map(({ id }) => id as string).sort());
        expect(await outbox.backlog(saga)).to.equal(2);
        expect(new Set(await pass()), 'once it rests no more').to.deep.equal(resting);
        await outbox.sweep([saga, mailer], later(600), later(600));
        await orders.close();
        ({ orders, outbox } = await subject.reopen(shop));
        expect(story(await drain(saga)), 'after a restart').to.deep.equal(['placed 1', 'cancel-requested 2']);
        expect(await outbox.backlog(saga)).to.equal(0);
      });

      it('forgets what is old and sent to all, and nothing else', async () => {
        const order = await place();
        await drain(saga);
        await orders.apply([say(order, 1, 'held')], later(1));
        const sweep = () => outbox.sweep([saga, mailer], later(600), later(600));
        await sweep();
        expect(story(await drain(mailer)), 'still there').to.deep.equal(['held 2']);
        await drain(saga);
        await sweep();
        expect(await outbox.unsent({ url: 'http://new/events' }, { events: 10, bytes: 1_000_000 })).to.equal(undefined);
      });
    });

    describe('keeping house', () => {
      it('counts the orders that are not over', async () => {
        const all = await Promise.all(Array.from({ length: 4 }, () => place()));
        await orders.requestCancel(all[0]!.id, { at: later(1) });
        await orders.apply([say(all[1]!, 1, 'held'), say(all[2]!, 1, 'succeeded')], later(1));
        const counts = await orders.open();
        expect(['Placed', 'Cancelling', 'Held'].map((state) => counts.get(state as 'Held') ?? 0)).to.deep.equal([
          1, 1, 1,
        ]);
      });

      it('forgets old keys and old orders that are over, and nothing else', async () => {
        const old = await place({}, { key: 'old' });
        const open = await place({}, { key: 'open' });
        const young = await place({}, { key: 'young', at: after(noon, days(10)) });
        await orders.apply([say(old, 1, 'succeeded'), say(young, 1, 'succeeded')], after(noon, days(11)));
        const sweep = async (keyDays: number, orderDays: number) => {
          const forgetting = { keysBefore: after(noon, days(keyDays)), ordersBefore: after(noon, days(orderDays)) };
          if (subject.forget !== undefined) return subject.forget(forgetting);
          let forgotten = 0;
          for (;;) {
            const swept = await orders.sweep(forgetting);
            forgotten += swept.forgotten;
            if (!swept.more) return forgotten;
          }
        };
        expect(await sweep(0, 0), 'what is as old as that').to.equal(0);
        expect(await sweep(1, 0), 'two keys').to.equal(2);
        expect(await orders.place(placement({}, { key: 'old' }))).to.deep.equal({ type: 'Recorded' });
        expect(await orders.place(placement({}, { key: 'young' }))).to.include({ type: 'Replayed' });
        expect(await sweep(0, 1)).to.be.greaterThan(0);
        const left: (OrderId | undefined)[] = [];
        for (const { id } of [old, open, young]) left.push((await orders.find(id))?.id);
        expect(left).to.deep.equal([undefined, open.id, young.id]);
      });
    });
  });
}
