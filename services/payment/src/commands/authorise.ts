import { type Command, call, externalCommand, failure, type Result, success } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { parseCurrency, parseMinorUnits } from '../domain/money.ts';
import { authorisationApproved, authorisationDeclined, requestPayment } from '../domain/payment.ts';
import { maskToken, parsePaymentToken } from '../domain/payment-token.ts';
import { commandReference, idFrom, type Reference } from '../domain/reference.ts';
import type { DeclineReason, ProcessorId } from '../ports/processor.ts';
import { type AuthorisationId, type PaymentRow, paymentByReference, savePayment } from '../store.ts';
import { at, emit, found, type Known, known, type Means, mustFind, OutcomeUnknown, orderKeyOf } from './outcome.ts';

type Authorised = Known<{ readonly id: ProcessorId; readonly expiresAt: string }>;

/** How long after a hold's end the reconciler asks whether it is gone: the processor's clock may differ from ours. */
const EXPIRY_GRACE_MS = 60_000;

/** How long the outcome may be unknown before the reconciler asks for itself: by then nobody repeats the command any more. */
const SILENCE_MS = 15 * 60_000;

/**
 * `authorise-payment`: holds the order's total on the card behind the token. Business failures: CardDeclined, TokenUnknown,
 * AmountInvalid. The token goes to the processor and nowhere else.
 */
export function authorisePayment({ processor, outbox }: Means): Command {
  return externalCommand({
    name: 'authorise-payment',
    kind: 'action',
    summary: 'Holds an amount on a card',
    reasons: ['CardDeclined', 'TokenUnknown', 'AmountInvalid'],
    input: Type.Object({
      total: Type.Integer(),
      currency: Type.String({ maxLength: 16 }),
      paymentToken: Type.String({ maxLength: 128 }),
      customer: Type.String({ maxLength: 128 }),
    }),
    output: Type.Object({ authorisationId: Type.String(), expiresAt: Type.String({ format: 'date-time' }) }),

    intend(tx, context, input) {
      const token = parsePaymentToken(input.paymentToken);
      if (token === undefined) return failure('TokenUnknown', 'paymentToken must be a token of the vault, as tok_...');
      const amount = parseMinorUnits(input.total);
      if (amount === undefined)
        return failure('AmountInvalid', 'total must be an integer of minor units from 1 to 2^53-1');
      const currency = parseCurrency(input.currency);
      if (currency === undefined) return failure('AmountInvalid', 'currency must be an ISO 4217 code, as GBP');
      const requested = requestPayment(amount, currency);
      if (!requested.ok) return failure('AmountInvalid', requested.detail);
      const reference = commandReference(context);
      const { namespace, saga, orderId } = context;
      savePayment(tx, {
        reference,
        authorisationId: idFrom('au_', reference) as AuthorisationId,
        order: { namespace, saga, orderId },
        payment: requested.payment,
        tokenMask: maskToken(token),
        createdAt: context.now,
        checkAt: context.now + SILENCE_MS,
        checks: 0,
        captureIds: {},
      });
      return call({ reference: reference as string, amount: amount as number, currency: currency as string });
    },

    async call(context, intent, input): Promise<Authorised> {
      const token = parsePaymentToken(input.paymentToken);
      const amount = parseMinorUnits(intent.amount);
      const currency = parseCurrency(intent.currency);
      if (token === undefined || amount === undefined || currency === undefined) {
        throw new OutcomeUnknown('the intent cannot be sent without its token');
      }
      const reference = intent.reference as Reference;
      return known(await processor.authorise({ reference, orderKey: orderKeyOf(context), token, amount, currency }));
    },

    async lookup(_context, intent): Promise<Authorised | undefined> {
      const seen = found(await processor.lookup({ reference: intent.reference as Reference, operation: 'authorise' }));
      if (seen === undefined || seen.outcome === 'declined') return seen;
      if (seen.expiresAt === undefined) throw new OutcomeUnknown('the authorisation that was found says no expiresAt');
      return { outcome: 'approved', id: seen.id, expiresAt: seen.expiresAt };
    },

    settle(tx, context, intent, outcome): Result<{ authorisationId: string; expiresAt: string }> {
      const row = mustFind(paymentByReference(tx, intent.reference as Reference), `payment ${intent.reference}`);
      if (outcome.outcome === 'declined') {
        const declined = declinedRow(row, outcome.reason);
        savePayment(tx, declined);
        if (declined.payment !== row.payment) {
          emit(outbox, tx, 'declined', declined, at(context), { reason: outcome.reason });
        }
        return failure(failureOf(outcome.reason), outcome.detail, { declineReason: outcome.reason });
      }
      const approved = approvedRow(row, outcome, context.now);
      savePayment(tx, approved);
      if (approved.payment !== row.payment) {
        emit(outbox, tx, 'authorised', approved, at(context), { expiresAt: outcome.expiresAt });
      }
      return success({ authorisationId: row.authorisationId as string, expiresAt: outcome.expiresAt });
    },
  });
}

/** The row once the processor has declined. */
export function declinedRow(row: PaymentRow, reason: DeclineReason): PaymentRow {
  const { checkAt: _none, ...rest } = row;
  return { ...rest, payment: authorisationDeclined(row.payment, reason) };
}

/**
 * The row once the processor holds the money. If a void was asked for while this was on its way, the reconciler must let the
 * money go, and soon; otherwise it looks again when the hold has run out.
 */
export function approvedRow(
  row: PaymentRow,
  approved: { readonly id: ProcessorId; readonly expiresAt: string },
  nowMs: number,
): PaymentRow {
  const payment = authorisationApproved(row.payment, approved.expiresAt);
  const checkAt = payment.fenced ? nowMs : Date.parse(approved.expiresAt) + EXPIRY_GRACE_MS;
  return { ...row, payment, processorId: approved.id, checkAt, checks: 0 };
}

function failureOf(reason: DeclineReason): string {
  if (reason === 'token_unknown') return 'TokenUnknown';
  return reason === 'amount_invalid' ? 'AmountInvalid' : 'CardDeclined';
}
