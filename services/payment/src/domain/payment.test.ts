import { expect } from 'chai';
import fc from 'fast-check';
import { type Currency, minorUnits } from './money.ts';
import {
  authorisationApproved,
  authorisationDeclined,
  beginCapture,
  beginRefund,
  captured,
  expired,
  isOpen,
  net,
  type Payment,
  refunded,
  requestPayment,
  requestVoid,
  settleCapture,
  settleRefund,
  type Transition,
  voided,
} from './payment.ts';
import { type Reference, referenceOf } from './reference.ts';

const GBP = 'GBP' as Currency;
const NOW = Date.parse('2026-11-22T12:00:00Z');
const LATER = '2026-11-29T12:00:00.000Z';

function payment(transition: Transition): Payment {
  if (!transition.ok) throw new Error(`refused: ${transition.refusal}`);
  return transition.payment;
}

const authorised = (amount: number) => authorisationApproved(payment(requestPayment(minorUnits(amount), GBP)), LATER);
const capture = (name: string, amount: number) => ({
  reference: referenceOf(name),
  amount: minorUnits(amount),
  currency: GBP,
});

describe('a payment', () => {
  it('is captured up to what was authorised, and refunded up to what was captured', () => {
    let state = payment(beginCapture(authorised(1_000), capture('one', 600), NOW));
    state = settleCapture(state, referenceOf('one'), 'approved');
    expect(beginCapture(state, capture('two', 401), NOW)).to.include({ ok: false, refusal: 'AmountInvalid' });
    state = settleCapture(payment(beginCapture(state, capture('two', 400), NOW)), referenceOf('two'), 'approved');
    expect([state.state, captured(state), net(state)]).to.deep.equal(['captured', 1_000, 1_000]);

    const refund = (name: string, amount: number) => ({ reference: referenceOf(name), amount: minorUnits(amount) });
    expect(beginRefund(state, referenceOf('one'), refund('back', 601))).to.include({
      ok: false,
      refusal: 'AmountInvalid',
    });
    state = payment(beginRefund(state, referenceOf('one'), refund('back', 600)));
    expect(beginRefund(state, referenceOf('one'), refund('again', 1))).to.include({
      ok: false,
      refusal: 'AmountInvalid',
    });
    state = settleRefund(state, referenceOf('back'), 'approved');
    expect([refunded(state), net(state)]).to.deep.equal([600, 400]);
  });

  it('counts an operation of unknown outcome as spent, and gives the amount back when it is declined', () => {
    let state = payment(beginCapture(authorised(1_000), capture('one', 1_000), NOW));
    expect(beginCapture(state, capture('two', 1), NOW)).to.include({ ok: false, refusal: 'AmountInvalid' });
    state = settleCapture(state, referenceOf('one'), 'declined');
    expect(beginCapture(state, capture('two', 1_000), NOW)).to.include({ ok: true });
  });

  it('begins one operation once, however often it is begun', () => {
    const once = payment(beginCapture(authorised(1_000), capture('one', 700), NOW));
    expect(payment(beginCapture(once, capture('one', 700), NOW))).to.deep.equal(once);
  });

  it('is not captured when it has expired, was voided, was declined, or is in another currency', () => {
    const open = authorised(1_000);
    const one = capture('one', 1);
    expect(beginCapture(open, one, Date.parse(LATER))).to.include({ refusal: 'AuthorisationExpired' });
    expect(beginCapture(expired(open), one, NOW)).to.include({ refusal: 'AuthorisationExpired' });
    expect(beginCapture(voided(open), one, NOW)).to.include({ refusal: 'AuthorisationUnknown' });
    expect(beginCapture(payment(requestVoid(open)), one, NOW)).to.include({ refusal: 'AuthorisationUnknown' });
    const declined = authorisationDeclined(payment(requestPayment(minorUnits(5), GBP)), 'card_declined');
    expect(beginCapture(declined, one, NOW)).to.include({ refusal: 'AuthorisationUnknown' });
    expect(beginCapture(open, { ...one, currency: 'EUR' as Currency }, NOW)).to.include({ refusal: 'AmountInvalid' });
  });

  it('is not voided once captured, nor while a capture is of unknown outcome', () => {
    const pending = payment(beginCapture(authorised(1_000), capture('one', 1_000), NOW));
    expect(requestVoid(pending)).to.include({ refusal: 'InFlight' });
    expect(requestVoid(settleCapture(pending, referenceOf('one'), 'approved'))).to.include({
      refusal: 'AlreadyCaptured',
    });
    expect(requestVoid(settleCapture(pending, referenceOf('one'), 'declined'))).to.include({ ok: true });
  });

  it('refuses an amount of 0', () => {
    expect(requestPayment(minorUnits(0), GBP)).to.include({ ok: false, refusal: 'AmountInvalid' });
    expect(beginCapture(authorised(10), capture('one', 0), NOW)).to.include({ refusal: 'AmountInvalid' });
  });
});

/** Anything that can happen to a payment, in any order, however little sense it makes. */
type Happening = (state: Payment) => Payment;

const name = fc.constantFrom('a', 'b', 'c', 'd').map(referenceOf);
const amount = fc.integer({ min: 0, max: 1_500 }).map(minorUnits);
const state = fc.constantFrom('approved' as const, 'declined' as const);
const orSame = (state: Payment, next: Transition) => (next.ok ? next.payment : state);
const approve: Happening = (now) => authorisationApproved(now, LATER);
const rare: fc.Arbitrary<Happening> = fc.constantFrom<Happening[]>(
  approve,
  (now) => authorisationDeclined(now, 'card_declined'),
  voided,
  expired,
  (now) => orSame(now, requestVoid(now)),
);
const capturing = fc
  .record({ reference: name, amount, currency: fc.constantFrom(GBP, GBP, GBP, 'EUR' as Currency) })
  .map(
    (one): Happening =>
      (now) =>
        orSame(now, beginCapture(now, one, NOW)),
  );
const settlingCapture = fc.tuple(name, state).map(
  ([reference, to]): Happening =>
    (now) =>
      settleCapture(now, reference, to),
);
const refundName = fc.constantFrom('r', 's', 't').map(referenceOf);
const refunding = fc.tuple(name, refundName, amount).map(
  ([of, reference, back]): Happening =>
    (now) =>
      orSame(now, beginRefund(now, of, { reference, amount: back })),
);
const settlingRefund = fc.tuple(refundName, state).map(
  ([reference, to]): Happening =>
    (now) =>
      settleRefund(now, reference, to),
);

/** Ends are rare, or most histories would be over before they have begun. */
const happening = fc.oneof(
  { weight: 1, arbitrary: rare },
  { weight: 6, arbitrary: capturing },
  { weight: 6, arbitrary: settlingCapture },
  { weight: 6, arbitrary: refunding },
  { weight: 6, arbitrary: settlingRefund },
);

const history = fc
  .tuple(fc.boolean(), fc.array(happening, { maxLength: 60, size: 'max' }))
  .map(([isAuthorised, rest]) => (isAuthorised ? [approve, ...rest] : rest));

function play(happenings: readonly Happening[]): Payment[] {
  const states = [payment(requestPayment(minorUnits(1_000), GBP))];
  for (const happen of happenings) states.push(happen(states.at(-1)!));
  return states;
}

describe('no sequence of operations on a payment', () => {
  const never = (law: (now: Payment, before: Payment) => boolean) =>
    fc.assert(
      fc.property(history, (happenings) => {
        const states = play(happenings);
        return states.every((now, i) => law(now, states[i - 1] ?? now));
      }),
      { numRuns: 1_000 },
    );

  it('captures more than was authorised, outcomes that are unknown included', () => {
    never((now) => {
      const spent = now.captures.filter((one) => one.state !== 'declined').reduce((sum, one) => sum + one.amount, 0);
      return spent <= now.amount;
    });
  });

  it('refunds more of a capture than it took, outcomes that are unknown included', () => {
    never((now) =>
      now.captures.every((one) => {
        const back = one.refunds.filter((refund) => refund.state !== 'declined').reduce((sum, r) => sum + r.amount, 0);
        return back <= one.amount && (one.state === 'approved' || back === 0);
      }),
    );
  });

  it('makes the net negative', () => never((now) => net(now) >= 0));

  it('captures what was voided, declined or expired before', () => {
    never(
      (now, before) => !['voided', 'declined', 'expired'].includes(before.state) || captured(now) === captured(before),
    );
  });

  it('leaves a final state', () => {
    const ends = ['voided', 'declined', 'expired'];
    never((now, before) => !ends.includes(before.state) || now.state === before.state);
  });

  it('takes back what was captured or refunded', () => {
    never((now, before) => captured(now) >= captured(before) && refunded(now) >= refunded(before));
  });

  it('lifts a fence, or begins a capture behind it', () => {
    never((now, before) => {
      const began = now.captures.filter((one) => one.state === 'pending').length;
      const had = before.captures.filter((one) => one.state === 'pending').length;
      return !before.fenced || (now.fenced && began <= had);
    });
  });

  it('leaves money held once it was captured', () => never((now) => captured(now) === 0 || !isOpen(now)));
});

describe('names in the laws', () => {
  it('differ, or the laws would test less than they say', () => {
    const names: Reference[] = ['a', 'b', 'c', 'd', 'r', 's', 't'].map(referenceOf);
    expect(new Set(names).size).to.equal(7);
  });
});
