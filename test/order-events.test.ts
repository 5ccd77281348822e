import { after, minutes, openDatabase, SqliteStore, systemClock } from '@mercato/kit';
import { eventOf } from '@mercato/operator/announce/event.ts';
import { readEvent } from '@mercato/operator/intake/events.ts';
import type { Announcement } from '@mercato/operator/journals/worker-journal.ts';
import { migrations, SqliteOrders } from '@mercato/order/adapters/sqlite/orders.ts';
import { cancelRequestedEvent } from '@mercato/order/domain/events.ts';
import { askToCancel } from '@mercato/order/domain/order.ts';
import { SagaEvents } from '@mercato/order/events/saga-events.ts';
import { noon, placement, request, shop } from '@mercato/order/testing/samples.ts';
import { expect } from 'chai';

/** As it goes over the wire. */
const sent = (event: object): unknown => JSON.parse(JSON.stringify(event));

describe('What the order service tells the operator', () => {
  const { placed } = placement();
  const { order } = placed;
  const id = { ...shop, orderId: order.id };

  it('is an order that a run can be begun with', () => {
    const { paymentToken, ...terms } = request();
    const asked = readEvent(sent(placed.event), noon);
    expect(asked).to.deep.equal({
      type: 'Placed',
      order: { id, input: { ...terms, paymentToken }, placedAt: noon },
    });
  });

  it('is the trace that it came with', () => {
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const asked = readEvent(sent({ ...placed.event, traceparent }), 0);
    expect(asked).to.have.nested.property('order.traceparent', traceparent);
  });

  it('is a cancel, in the words of the customer', () => {
    for (const reason of ['changed my mind', undefined]) {
      const asked = askToCancel(order.progress, after(noon, minutes(1)), reason);
      if (asked.type !== 'Asked') throw new Error(asked.type);
      const event = cancelRequestedEvent(shop, order.id, asked.progress);
      const said = reason ?? 'asked for by the customer';
      expect(readEvent(sent(event), 0)).to.deep.equal({ type: 'Cancel', id, reason: said });
    }
  });
});

describe('What the operator tells the order service', () => {
  const courses: [string, Omit<Announcement, 'id' | 'at' | 'sequence'>[], string][] = [
    ['a run that succeeded', [{ type: 'succeeded' }], 'Completed'],
    ['a run that was undone', [{ type: 'compensated', reason: 'OutOfStock', message: 'no 85123a in leeds' }], 'Failed'],
    [
      'a run that was cancelled',
      [{ type: 'compensated', reason: 'Cancelled', message: 'changed my mind' }],
      'Cancelled',
    ],
    ['a run that a person ended', [{ type: 'aborted', reason: 'Decided', message: 'by ann' }], 'Aborted'],
    ['a run that is held', [{ type: 'held', reason: 'StepFailed', message: 'pay: 503', step: 'pay' }], 'Held'],
    ['a run that is not begun', [{ type: 'refused', reason: 'SagaNotFound', message: 'apply it, leeds' }], 'Failed'],
    ['a run that goes on', [{ type: 'held', reason: 'StepFailed' }, { type: 'resumed' }], 'Placed'],
  ];
  for (const [what, course, state] of courses)
    it(`moves the order of ${what} to ${state}, and keeps its words from the customer`, async () => {
      const orders = new SqliteOrders(new SqliteStore(openDatabase(':memory:'), { migrations }), shop);
      const wanted = placement();
      await orders.place(wanted);
      const { id: orderId } = wanted.placed.order;
      const events = new SagaEvents({ orders, shop, clock: systemClock, onChanged: () => {} });
      const told = course.map((each, i) =>
        eventOf({ ...each, id: { ...shop, orderId }, at: noon, sequence: each.type === 'refused' ? 0 : i + 1 }),
      );
      expect(await events.receive(sent(told))).to.include({ applied: course.length });
      expect(await events.receive(sent(told)), 'again').to.include({ applied: 0, ignored: 0, unsubscribed: 0 });
      const progress = (await orders.find(orderId))?.progress;
      expect(progress?.state).to.equal(state);
      expect(JSON.stringify(progress)).not.to.match(/leeds|503|ann|StepFailed/);
      await orders.close();
    });
});
