import { expect } from 'chai';
import fc from 'fast-check';
import { type Booking, type BookingState, type CarrierNews, cancel, heard, isUnwanted, REQUESTED } from './booking.ts';

const NEWS: readonly CarrierNews[] = ['booked', 'picked-up', 'delivered', 'cancelled', 'refused'];
const FINAL: readonly BookingState[] = ['delivered', 'cancelled', 'refused'];

/** Anything that can happen to a booking, in any order. */
const happening = fc.oneof(
  fc.constantFrom(...NEWS).map((news) => (now: Booking) => heard(now, news)),
  fc.constant((now: Booking) => {
    const wish = cancel(now);
    return wish.do === 'refuse' ? now : wish.booking;
  }),
);

const always = (law: (now: Booking, before: Booking) => boolean) =>
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 30, size: 'max' }), (happenings) => {
      let before = REQUESTED;
      return happenings.every((happen) => {
        const now = happen(before);
        const holds = law(now, before);
        before = now;
        return holds;
      });
    }),
    { numRuns: 1_000 },
  );

describe('a booking', () => {
  it('is cancelled until it is picked up, and not any more', () => {
    expect(cancel(REQUESTED).do).to.equal('ask');
    expect(cancel(heard(REQUESTED, 'booked')).do).to.equal('ask');
    expect(cancel(heard(REQUESTED, 'picked-up'))).to.deep.equal({ do: 'refuse', reason: 'AlreadyPickedUp' });
    expect(cancel(heard(REQUESTED, 'delivered'))).to.deep.equal({ do: 'refuse', reason: 'AlreadyPickedUp' });
    expect(cancel(heard(REQUESTED, 'cancelled')).do).to.equal('nothing');
    expect(cancel(heard(REQUESTED, 'refused')).do).to.equal('nothing');
  });

  it('never leaves a final state, whatever news comes late or twice', () => {
    always((now, before) => !FINAL.includes(before.state) || now.state === before.state);
  });

  it('is never un-picked-up', () => {
    always((now, before) => before.state !== 'picked-up' || now.state === 'picked-up' || now.state === 'delivered');
  });

  it('stays fenced, and is unwanted until it is known to be closed or gone', () => {
    always((now, before) => !before.fenced || now.fenced);
    always((now) => isUnwanted(now) === (now.fenced && (now.state === 'requested' || now.state === 'booked')));
  });

  it('takes the same news twice as once', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NEWS), fc.constantFrom(...NEWS), (first, news) => {
        const once = heard(heard(REQUESTED, first), news);
        expect(heard(once, news)).to.deep.equal(once);
      }),
    );
  });
});
