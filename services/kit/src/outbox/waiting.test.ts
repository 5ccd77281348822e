import { expect } from 'chai';
import { after, instant, milliseconds, minutes, seconds } from '../units.ts';
import { cloudEventOf } from './outbox.ts';
import { MOST_WAITING, Waiting } from './waiting.ts';

const noon = instant(Date.UTC(2026, 10, 22, 12));
const pace = { first: milliseconds(200), longest: seconds(10) };
const eventOf = (orderId: string, sequence = 1) =>
  cloudEventOf('/mercato/test', { type: 't', namespace: 'n', saga: 's', orderId, data: {}, time: noon }, sequence);
const settled = (waiting: Waiting, orders: readonly string[], again: readonly number[], now = noon) =>
  waiting.settle(
    orders.map((order) => eventOf(order)),
    { sent: [...orders.keys()], again, retryAfter: undefined },
    now,
  );

describe('orders that wait', () => {
  it('rest for twice as long each time, up to the longest pause, until they are taken', () => {
    const waiting = new Waiting(pace);
    const pauses: number[] = [];
    let now = noon;
    for (let i = 0; i < 8; i++) {
      settled(waiting, ['a'], [0], now);
      const began = now;
      while (waiting.resting(now).has('a')) now = after(now, milliseconds(100));
      pauses.push(now - began);
    }
    expect(pauses).to.deep.equal([200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    settled(waiting, ['a'], [], now);
    expect(waiting.size).to.equal(0);
    settled(waiting, ['a'], [0], now);
    expect(waiting.resting(after(now, milliseconds(200))).has('a')).to.equal(false);
  });

  it('let no more be sent than could wait after it, and no order in part', () => {
    const waiting = new Waiting(pace);
    const all = Array.from({ length: MOST_WAITING - 1 }, (_, i) => `o${i}`);
    settled(waiting, all, [...all.keys()]);
    expect(waiting.isFull).to.equal(false);
    const events = [eventOf('o7'), eventOf('o7', 2), eventOf('x'), eventOf('x', 2), eventOf('y'), eventOf('y', 2)];
    const sent = waiting.sendable(events);
    expect(sent).to.deep.equal([0, 1, 2, 3]);
    const { again, taken, isStalled } = waiting.settle(events, { sent, again: [2], retryAfter: undefined }, noon);
    expect([[...again], taken, isStalled]).to.deep.equal([[2, 3, 4, 5], 2, true]);
    // The one that was taken made room again.
    expect(waiting.size).to.equal(MOST_WAITING - 1);
  });

  it('are forgotten where nobody hands them out any more', () => {
    const waiting = new Waiting(pace);
    settled(waiting, ['a'], [0]);
    waiting.resting(after(noon, minutes(1)));
    expect(waiting.size).to.equal(1);
    waiting.resting(after(noon, minutes(2)));
    expect(waiting.size).to.equal(0);
  });

  it('say that the subscriber is busy where it took nothing new', () => {
    const waiting = new Waiting(pace);
    expect(settled(waiting, ['a', 'b'], [0]).isStalled).to.equal(false);
    expect(settled(waiting, ['a', 'c'], [1]).isStalled, 'the one that was taken had waited').to.equal(true);
    expect(settled(waiting, ['c'], [0]).isStalled, 'nothing new was sent').to.equal(false);
  });
});
