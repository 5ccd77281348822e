import type { Currency, MinorUnits } from './money.ts';
import type { Reference } from './reference.ts';

/**
 * One order's authorisation and what was done with it, as a value. Every function here is pure: it takes a payment and gives
 * the next one, or says why not. An operation is *begun* (its amount is set aside and it may be sent), then *settled* by what
 * the processor said; between the two its outcome is unknown, and its amount counts as spent for every other decision.
 */
export interface Payment {
  readonly amount: MinorUnits;
  readonly currency: Currency;
  readonly state: PaymentState;
  /** RFC 3339; the processor lets the money go after it. Only once authorised. */
  readonly expiresAt?: string;
  readonly declineReason?: string;
  readonly captures: readonly Capture[];
  /** A void was asked for: whatever the processor still says, this authorisation must not stay open. */
  readonly fenced: boolean;
}

/**
 * requested: sent or about to be, outcome unknown; authorised: money is held; captured: at least one capture was approved;
 * voided, declined, expired: final, nothing is held.
 */
export type PaymentState = 'requested' | 'authorised' | 'captured' | 'voided' | 'declined' | 'expired';

/** One capture; refunds hang below the capture that they return. */
export interface Capture {
  readonly reference: Reference;
  readonly amount: MinorUnits;
  readonly state: OperationState;
  readonly refunds: readonly Refund[];
}

/** One refund. */
export interface Refund {
  readonly reference: Reference;
  readonly amount: MinorUnits;
  readonly state: OperationState;
}

/** pending: outcome unknown, its amount is set aside. */
export type OperationState = 'pending' | 'approved' | 'declined';

/** Why an operation may not begin. InFlight is no answer: an operation of unknown outcome must be settled first. */
export type Refusal =
  | 'AmountInvalid'
  | 'AuthorisationUnknown'
  | 'AuthorisationExpired'
  | 'AlreadyCaptured'
  | 'CaptureUnknown'
  | 'InFlight';

/** A transition's result: the next payment, or why there is none. */
export type Transition =
  | { readonly ok: true; readonly payment: Payment }
  | { readonly ok: false; readonly refusal: Refusal; readonly detail: string };

/** A payment about to be authorised. Refused with AmountInvalid for an amount of 0: processors refuse it in different ways. */
export function requestPayment(amount: MinorUnits, currency: Currency): Transition {
  if (amount === 0) return refuse('AmountInvalid', 'the amount is 0: nothing to authorise');
  return done({ amount, currency, state: 'requested', captures: [], fenced: false });
}

/** The processor holds the money until expiresAt. Late news about a settled payment changes nothing. */
export function authorisationApproved(payment: Payment, expiresAt: string): Payment {
  return payment.state === 'requested' ? { ...payment, state: 'authorised', expiresAt } : payment;
}

/** The processor declined; nothing is held. */
export function authorisationDeclined(payment: Payment, reason: string): Payment {
  return payment.state === 'requested' ? { ...payment, state: 'declined', declineReason: reason } : payment;
}

/** Marks a void as wanted. From here no capture begins, and an authorisation that turns up later is to be voided. */
export function requestVoid(payment: Payment): Transition {
  if (payment.captures.some((capture) => capture.state === 'approved')) {
    return refuse('AlreadyCaptured', 'money was captured: refund it instead');
  }
  if (isCapturing(payment)) {
    return refuse('InFlight', 'a capture of unknown outcome must be settled first');
  }
  return done({ ...payment, fenced: true });
}

/** The processor let the money go, or never held it. Changes nothing while a capture may still turn out to have taken it. */
export function voided(payment: Payment): Payment {
  return isOpen(payment) && !isCapturing(payment) ? { ...payment, state: 'voided' } : payment;
}

/** The hold ran out at the processor. Changes nothing while a capture may still turn out to have been in time. */
export function expired(payment: Payment): Payment {
  return payment.state === 'authorised' && !isCapturing(payment) ? { ...payment, state: 'expired' } : payment;
}

/**
 * Sets an amount aside for a capture. Beginning the same reference again gives the same payment.
 * Refused: AuthorisationUnknown (none is open), AuthorisationExpired (its time is over at nowMs, milliseconds since 1970),
 * AmountInvalid (0, another currency, or more than is left of the authorisation, captures of unknown outcome counted as spent).
 */
export function beginCapture(
  payment: Payment,
  capture: { readonly reference: Reference; readonly amount: MinorUnits; readonly currency: Currency },
  nowMs: number,
): Transition {
  if (payment.captures.some((known) => known.reference === capture.reference && known.state !== 'declined')) {
    return done(payment);
  }
  if (payment.state === 'expired')
    return refuse('AuthorisationExpired', `the authorisation ended at ${payment.expiresAt}`);
  if (payment.fenced || (payment.state !== 'authorised' && payment.state !== 'captured')) {
    return refuse(
      'AuthorisationUnknown',
      `the authorisation is ${payment.fenced ? 'voided' : payment.state}, not open`,
    );
  }
  if (payment.expiresAt !== undefined && Date.parse(payment.expiresAt) <= nowMs) {
    return refuse('AuthorisationExpired', `the authorisation ended at ${payment.expiresAt}`);
  }
  if (capture.currency !== payment.currency) {
    return refuse('AmountInvalid', `the authorisation is in ${payment.currency}, the capture in ${capture.currency}`);
  }
  const left = payment.amount - capturedOrPending(payment);
  if (capture.amount === 0 || capture.amount > left) {
    return refuse('AmountInvalid', `${capture.amount} of ${left} ${payment.currency} that are left cannot be captured`);
  }
  const begun: Capture = { reference: capture.reference, amount: capture.amount, state: 'pending', refunds: [] };
  const others = payment.captures.filter((known) => known.reference !== capture.reference);
  return done({ ...payment, captures: [...others, begun] });
}

/** Settles a pending capture. News about a capture that is settled or was never begun changes nothing. */
export function settleCapture(payment: Payment, reference: Reference, state: 'approved' | 'declined'): Payment {
  if (!payment.captures.some((capture) => capture.reference === reference && capture.state === 'pending'))
    return payment;
  return {
    ...payment,
    state: state === 'approved' ? 'captured' : payment.state,
    captures: payment.captures.map((capture) => (capture.reference === reference ? { ...capture, state } : capture)),
  };
}

/**
 * Sets an amount aside for a refund of one capture. Beginning the same reference again gives the same payment.
 * Refused: CaptureUnknown (no approved capture of this reference), AmountInvalid (0, or more than is left of the capture).
 */
export function beginRefund(
  payment: Payment,
  captureReference: Reference,
  refund: { readonly reference: Reference; readonly amount: MinorUnits },
): Transition {
  const capture = payment.captures.find((known) => known.reference === captureReference);
  if (capture === undefined || capture.state !== 'approved')
    return refuse('CaptureUnknown', 'there is no such capture');
  if (capture.refunds.some((known) => known.reference === refund.reference && known.state !== 'declined')) {
    return done(payment);
  }
  const left = capture.amount - sum(capture.refunds.filter((known) => known.state !== 'declined'));
  if (refund.amount === 0 || refund.amount > left) {
    return refuse('AmountInvalid', `${refund.amount} of ${left} ${payment.currency} that are left cannot be refunded`);
  }
  const others = capture.refunds.filter((known) => known.reference !== refund.reference);
  const refunds: readonly Refund[] = [...others, { ...refund, state: 'pending' }];
  return done(withRefunds(payment, captureReference, refunds));
}

/** Settles a pending refund. News about a refund that is settled or was never begun changes nothing. */
export function settleRefund(payment: Payment, reference: Reference, state: 'approved' | 'declined'): Payment {
  for (const capture of payment.captures) {
    if (!capture.refunds.some((refund) => refund.reference === reference && refund.state === 'pending')) continue;
    const refunds = capture.refunds.map((refund) => (refund.reference === reference ? { ...refund, state } : refund));
    return withRefunds(payment, capture.reference, refunds);
  }
  return payment;
}

/** What the processor has approved for capture, in minor units. */
export function captured(payment: Payment): number {
  return sum(payment.captures.filter((capture) => capture.state === 'approved'));
}

/** What the processor has approved for refund, in minor units. */
export function refunded(payment: Payment): number {
  return sum(payment.captures.flatMap((capture) => capture.refunds.filter((refund) => refund.state === 'approved')));
}

/** Captured minus refunded: what the customer paid for good. Never negative. */
export function net(payment: Payment): number {
  return captured(payment) - refunded(payment);
}

/** Whether the processor may hold money that nobody has captured yet: authorised, or of unknown outcome. */
export function isOpen(payment: Payment): boolean {
  return payment.state === 'requested' || payment.state === 'authorised';
}

/** Whether a capture is of unknown outcome. */
export function isCapturing(payment: Payment): boolean {
  return payment.captures.some((capture) => capture.state === 'pending');
}

function capturedOrPending(payment: Payment): number {
  return sum(payment.captures.filter((capture) => capture.state !== 'declined'));
}

function withRefunds(payment: Payment, reference: Reference, refunds: readonly Refund[]): Payment {
  return {
    ...payment,
    captures: payment.captures.map((capture) => (capture.reference === reference ? { ...capture, refunds } : capture)),
  };
}

function sum(items: readonly { readonly amount: number }[]): number {
  return items.reduce((total, item) => total + item.amount, 0);
}

function done(payment: Payment): Transition {
  return { ok: true, payment };
}

function refuse(refusal: Refusal, detail: string): Transition {
  return { ok: false, refusal, detail };
}
