import { expect } from 'chai';
import { checkAnnounced } from './announced.ts';
import type { Announcement, Observations, ToldOrder } from './observations.ts';

const key = (name: string) => `shop/checkout/${name}`;
const told = (name: string, phase: ToldOrder['phase'], more: Partial<ToldOrder> = {}): ToldOrder => ({
  key: key(name),
  phase,
  customer: `customer-of-${name}`,
  ...more,
});
const heard = (name: string, sequence: number, type: Announcement['type'], reason?: string): Announcement => ({
  key: key(name),
  sequence,
  type,
  customer: `customer-of-${name}`,
  ...(reason === undefined ? {} : { reason }),
});

/** One order of each end, one that is held, one that was held before it ended, and one that is under way. All is well. */
const ORDERS: readonly ToldOrder[] = [
  told('done', 'Succeeded'),
  told('late', 'Succeeded', { cancelAsked: true, reason: 'CancelTooLate' }),
  told('failed', 'Compensated', { reason: 'CardDeclined' }),
  told('cancelled', 'Compensated', { cancelAsked: true, reason: 'Cancelled' }),
  told('held', 'Held', { reason: 'NeedsAttention', wasHeld: true }),
  told('ended', 'Aborted', { reason: 'Ended', wasHeld: true }),
  told('open', 'Running'),
];
const EVENTS: readonly Announcement[] = [
  heard('done', 2, 'completed'),
  heard('late', 3, 'completed', 'CancelTooLate'),
  heard('failed', 2, 'failed', 'CardDeclined'),
  heard('cancelled', 3, 'cancelled', 'Cancelled'),
  heard('held', 2, 'held', 'NeedsAttention'),
  heard('ended', 2, 'held', 'NeedsAttention'),
  heard('ended', 4, 'failed', 'Ended'),
];

describe('what a subscriber hears of orders', () => {
  const sentences = (announced: readonly Announcement[], orders = ORDERS) =>
    checkAnnounced({ announced, told: orders } as unknown as Observations).map(({ sentence }) => sentence);
  /** All is well but for one order, of which this is heard. */
  const instead = (name: string, ...events: Announcement[]) =>
    sentences([...EVENTS.filter((event) => event.key !== key(name)), ...events]);

  it('is what became of each, with the reason', () => {
    expect(sentences(EVENTS)).to.deep.equal([]);
  });

  it('may come again, and late, in any order', () => {
    expect(sentences([...EVENTS.toReversed(), ...EVENTS])).to.deep.equal([]);
  });

  it('is not compared where nobody listened', () => {
    expect(checkAnnounced({ told: ORDERS } as unknown as Observations)).to.deep.equal([]);
  });

  const wrong: Readonly<Record<string, readonly [() => string[], RegExp]>> = {
    'nothing of an order that ended': [() => instead('done'), /done: it is Succeeded .* heard nothing$/],
    'nothing of a hold': [() => instead('held'), /held: it is Held .* heard nothing$/],
    'another end': [() => instead('done', heard('done', 2, 'failed', 'NoService')), /heard failed \(NoService\)/],
    'two ends': [
      () =>
        instead('failed', heard('failed', 2, 'failed', 'CardDeclined'), heard('failed', 3, 'failed', 'CardDeclined')),
      /heard failed \(CardDeclined\), failed \(CardDeclined\)/,
    ],
    'a hold of an order that never was held': [
      () => instead('done', heard('done', 2, 'held', 'NeedsAttention'), heard('done', 3, 'completed')),
      /heard held \(NeedsAttention\), completed/,
    ],
    'no hold of one that was held before it ended': [
      () => instead('ended', heard('ended', 4, 'failed', 'Ended')),
      /ended: it is Aborted .* heard failed \(Ended\)$/,
    ],
    'a hold after the end': [
      () => instead('ended', heard('ended', 2, 'failed', 'Ended'), heard('ended', 4, 'held', 'Ended')),
      /heard failed \(Ended\), held/,
    ],
    'the end of an order that is under way': [() => instead('open', heard('open', 2, 'completed')), /it is Running/],
    'a cancel that nobody asked for': [
      () => instead('failed', heard('failed', 2, 'cancelled', 'CardDeclined')),
      /heard cancelled/,
    ],
    'no reason': [() => instead('failed', heard('failed', 2, 'failed')), /failed was announced without a reason/],
    'another reason': [
      () => instead('failed', heard('failed', 2, 'failed', 'OutOfStock')),
      /the reason OutOfStock, and the order service says CardDeclined/,
    ],
    'a reason of what went well': [
      () => instead('done', heard('done', 2, 'completed', 'Oops')),
      /completed was announced with the reason Oops/,
    ],
    'what is for another customer': [
      () => instead('done', { ...heard('done', 2, 'completed'), customer: 'ada' }),
      /announced to ada, whose order it is not/,
    ],
    'one event as two': [
      () => sentences([...EVENTS, heard('failed', 2, 'failed', 'NoService')]),
      /its event 2 came again as another: failed \(CardDeclined\), failed \(NoService\)/,
    ],
    'an order that nobody placed': [
      () => sentences([...EVENTS, heard('invented', 2, 'completed')]),
      /invented: nobody placed it, and its customer heard completed/,
    ],
  };
  for (const [what, [look, says]] of Object.entries(wrong))
    it(`is not: ${what}`, () => {
      const found = look();
      expect(found).not.to.deep.equal([]);
      expect(found[0]).to.match(says);
    });
});
