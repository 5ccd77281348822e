import { type Command, call, externalCommand, failure, type Result, success } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { parseCurrency, parseMinorUnits } from '../domain/money.ts';
import { beginCapture, expired, type Refusal, settleCapture } from '../domain/payment.ts';
import { commandReference, idFrom, type Reference } from '../domain/reference.ts';
import type { ProcessorId } from '../ports/processor.ts';
import {
  type AuthorisationId,
  type CaptureId,
  paymentByAuthorisation,
  paymentByReference,
  saveCapture,
  savePayment,
} from '../store.ts';
import { at, emit, found, type Known, known, type Means, mustFind, orderKeyOf, processorIdOf } from './outcome.ts';

type Captured = Known<{ readonly id: ProcessorId }>;

/**
 * `capture-payment`: takes an authorised amount. Business failures: AuthorisationExpired, AuthorisationUnknown (none, or voided),
 * CaptureDeclined (by the processor, or because the amount does not fit what is left).
 */
export function capturePayment({ processor, outbox }: Means): Command {
  return externalCommand({
    name: 'capture-payment',
    kind: 'action',
    summary: 'Takes an authorised amount',
    reasons: ['AuthorisationExpired', 'AuthorisationUnknown', 'CaptureDeclined'],
    input: Type.Object({
      authorisationId: Type.String({ maxLength: 128 }),
      total: Type.Integer(),
      currency: Type.String({ maxLength: 16 }),
    }),
    output: Type.Object({ captureId: Type.String() }),

    intend(tx, context, input) {
      const row = paymentByAuthorisation(tx, input.authorisationId as AuthorisationId);
      if (row === undefined)
        return failure('AuthorisationUnknown', `there is no authorisation ${input.authorisationId}`);
      const amount = parseMinorUnits(input.total);
      const currency = parseCurrency(input.currency);
      if (amount === undefined || currency === undefined) {
        return failure(
          'CaptureDeclined',
          'total must be an integer of minor units from 1 to 2^53-1, currency an ISO 4217 code',
        );
      }
      const reference = commandReference(context);
      const begun = beginCapture(row.payment, { reference, amount, currency }, context.now);
      if (!begun.ok) return failure(reasonOf(begun.refusal), begun.detail);
      savePayment(tx, { ...row, payment: begun.payment });
      saveCapture(tx, idFrom('ca_', reference) as CaptureId, row.reference, reference);
      return call({
        payment: row.reference as string,
        reference: reference as string,
        authorisation: processorIdOf(row) as string,
        amount: amount as number,
        currency: currency as string,
      });
    },

    async call(context, intent): Promise<Captured> {
      return known(
        await processor.capture({
          reference: intent.reference as Reference,
          orderKey: orderKeyOf(context),
          authorisation: intent.authorisation as ProcessorId,
          amount: mustFind(parseMinorUnits(intent.amount), 'the amount'),
          currency: mustFind(parseCurrency(intent.currency), 'the currency'),
        }),
      );
    },

    async lookup(_context, intent): Promise<Captured | undefined> {
      const target = intent.authorisation as ProcessorId;
      return found(await processor.lookup({ reference: intent.reference as Reference, operation: 'capture', target }));
    },

    settle(tx, context, intent, outcome): Result<{ captureId: string }> {
      const reference = intent.reference as Reference;
      const row = mustFind(paymentByReference(tx, intent.payment as Reference), `payment ${intent.payment}`);
      const captureId = idFrom('ca_', reference);
      if (outcome.outcome === 'declined') {
        const payment = settleCapture(row.payment, reference, 'declined');
        const isExpired = outcome.reason === 'authorisation_expired';
        savePayment(tx, { ...row, payment: isExpired ? expired(payment) : payment });
        emit(outbox, tx, 'capture-declined', row, at(context), { captureId, reason: outcome.reason });
        return failure(
          isExpired
            ? 'AuthorisationExpired'
            : outcome.reason === 'authorisation_unknown'
              ? 'AuthorisationUnknown'
              : 'CaptureDeclined',
          outcome.detail,
          { declineReason: outcome.reason },
        );
      }
      const { checkAt: _none, ...rest } = row;
      const captureIds = { ...row.captureIds, [reference]: outcome.id };
      const captured = { ...rest, captureIds, payment: settleCapture(row.payment, reference, 'approved') };
      savePayment(tx, captured);
      emit(outbox, tx, 'captured', captured, at(context), { captureId, capturedAmount: intent.amount });
      return success({ captureId });
    },
  });
}

function reasonOf(refusal: Refusal): string {
  return refusal === 'AuthorisationExpired' || refusal === 'AuthorisationUnknown' ? refusal : 'CaptureDeclined';
}
