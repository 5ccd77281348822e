import {
  accepted,
  type Command,
  call,
  externalCommand,
  failure,
  milliseconds,
  type Result,
  success,
} from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { requestVoid, voided } from '../domain/payment.ts';
import { commandReference, type Reference, voidReferenceOf } from '../domain/reference.ts';
import type { PaymentProcessor, ProcessorId } from '../ports/processor.ts';
import { type PaymentRow, paymentByReference, savePayment } from '../store.ts';
import { at, emit, found, known, type Means, mustFind, orderKeyOf } from './outcome.ts';

/** What became of the wish to let an authorisation go. `absent`: the processor does not know it, yet. */
export type Released =
  | { readonly outcome: 'voided'; readonly id: ProcessorId }
  | { readonly outcome: 'closed' }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'captured'; readonly detail: string };

/** How soon the reconciler looks for an authorisation that was not there when it was voided. */
const FIRST_CHECK_MS = 1_000;

/**
 * `void-payment`: lets the money of authorise-payment go. When the outcome of the authorisation is unknown it asks first; what
 * does not exist leaves a fence, and the reconciler goes on looking in case the processor was merely late. Business failure:
 * AlreadyCaptured (a refund is another matter).
 */
export function voidPayment({ processor, outbox }: Means): Command {
  return externalCommand({
    name: 'void-payment',
    kind: 'compensation',
    undoes: ['authorise-payment'],
    summary: 'Lets an authorised amount go',
    reasons: ['AlreadyCaptured'],
    input: Type.Object({}),
    output: Type.Object({}),

    intend(tx, context) {
      const { action, begun } = context;
      const reference = action === undefined ? undefined : commandReference({ begun, reference: action.reference });
      const row = reference === undefined ? undefined : paymentByReference(tx, reference);
      if (row === undefined) return success({});
      const wanted = requestVoid(row.payment);
      if (!wanted.ok && wanted.refusal === 'InFlight') return accepted(milliseconds(500));
      if (!wanted.ok) return failure('AlreadyCaptured', wanted.detail);
      savePayment(tx, { ...row, payment: wanted.payment });
      return call({ reference: row.reference as string });
    },

    call(context, intent) {
      const reference = intent.reference as Reference;
      return release(processor, reference, orderKeyOf(context));
    },

    /** `release` asks before it acts, so there is nothing to find out beforehand. */
    lookup: () => Promise.resolve(undefined),

    settle(tx, context, intent, outcome): Result<Record<string, never>> {
      const row = mustFind(paymentByReference(tx, intent.reference as Reference), `payment ${intent.reference}`);
      const { row: next, event } = afterRelease(row, outcome, context.now);
      savePayment(tx, next);
      if (event !== undefined) emit(outbox, tx, event, next, at(context));
      return outcome.outcome === 'captured' ? failure('AlreadyCaptured', outcome.detail) : success({});
    },
  });
}

/**
 * Finds the authorisation of this reference at the processor and voids it. Safe to repeat: the void has one reference, whoever
 * asks. Throws OutcomeUnknown when the processor does not answer.
 */
export async function release(processor: PaymentProcessor, reference: Reference, orderKey: string): Promise<Released> {
  const authorisation = found(await processor.lookup({ reference, operation: 'authorise' }));
  if (authorisation === undefined) return { outcome: 'absent' };
  if (authorisation.outcome === 'declined') return { outcome: 'closed' };
  const request = { reference: voidReferenceOf(reference), orderKey, authorisation: authorisation.id };
  const answer = known(await processor.void(request));
  if (answer.outcome === 'approved') return { outcome: 'voided', id: authorisation.id };
  if (answer.reason === 'already_captured') return { outcome: 'captured', detail: answer.detail };
  return { outcome: 'closed' };
}

/** The payment after a release, and the name of the event that tells of it. What is absent is looked for again. */
export function afterRelease(row: PaymentRow, outcome: Released, nowMs: number): { row: PaymentRow; event?: string } {
  const { checkAt: _none, ...rest } = row;
  switch (outcome.outcome) {
    case 'voided': {
      const next = { ...rest, payment: voided(row.payment), processorId: outcome.id };
      return row.payment.state === 'voided' ? { row: next } : { row: next, event: 'voided' };
    }
    case 'closed':
      return { row: { ...rest, payment: voided(row.payment) } };
    case 'absent':
      return { row: { ...rest, checkAt: nowMs + FIRST_CHECK_MS } };
    case 'captured':
      return { row: rest };
  }
}
