import { type Command, call, externalCommand, failure, type Result, success } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { parseCurrency, parseMinorUnits } from '../domain/money.ts';
import { beginRefund, settleRefund } from '../domain/payment.ts';
import { commandReference, idFrom, type Reference } from '../domain/reference.ts';
import type { ProcessorId } from '../ports/processor.ts';
import { type CaptureId, paymentByCapture, paymentByReference, savePayment } from '../store.ts';
import { at, emit, found, type Known, known, type Means, mustFind, orderKeyOf } from './outcome.ts';

type Refunded = Known<{ readonly id: ProcessorId }>;

/**
 * `refund-payment`: returns an amount of a capture, in its currency. Business failures: CaptureUnknown, AmountInvalid (0, or more
 * than is left, refunds of unknown outcome counted as spent), RefundDeclined (by the processor).
 */
export function refundPayment({ processor, outbox }: Means): Command {
  return externalCommand({
    name: 'refund-payment',
    kind: 'action',
    summary: 'Returns a captured amount',
    reasons: ['CaptureUnknown', 'AmountInvalid', 'RefundDeclined'],
    input: Type.Object({ captureId: Type.String({ maxLength: 128 }), amount: Type.Integer() }),
    output: Type.Object({ refundId: Type.String() }),

    intend(tx, context, input) {
      const found = paymentByCapture(tx, input.captureId as CaptureId);
      const target = found?.row.captureIds[found.capture];
      if (found === undefined || target === undefined) {
        return failure('CaptureUnknown', `there is no capture ${input.captureId}`);
      }
      const amount = parseMinorUnits(input.amount);
      if (amount === undefined)
        return failure('AmountInvalid', 'amount must be an integer of minor units from 1 to 2^53-1');
      const reference = commandReference(context);
      const begun = beginRefund(found.row.payment, found.capture, { reference, amount });
      if (!begun.ok) return failure(begun.refusal, begun.detail);
      savePayment(tx, { ...found.row, payment: begun.payment });
      return call({
        payment: found.row.reference as string,
        reference: reference as string,
        capture: target as string,
        amount: amount as number,
        currency: begun.payment.currency as string,
      });
    },

    async call(context, intent): Promise<Refunded> {
      return known(
        await processor.refund({
          reference: intent.reference as Reference,
          orderKey: orderKeyOf(context),
          capture: intent.capture as ProcessorId,
          amount: mustFind(parseMinorUnits(intent.amount), 'the amount'),
          currency: mustFind(parseCurrency(intent.currency), 'the currency'),
        }),
      );
    },

    async lookup(_context, intent): Promise<Refunded | undefined> {
      const target = intent.capture as ProcessorId;
      return found(await processor.lookup({ reference: intent.reference as Reference, operation: 'refund', target }));
    },

    settle(tx, context, intent, outcome): Result<{ refundId: string }> {
      const reference = intent.reference as Reference;
      const row = mustFind(paymentByReference(tx, intent.payment as Reference), `payment ${intent.payment}`);
      const refundId = idFrom('re_', reference);
      const state = outcome.outcome;
      const settled = { ...row, payment: settleRefund(row.payment, reference, state) };
      savePayment(tx, settled);
      if (outcome.outcome === 'declined') {
        emit(outbox, tx, 'refund-declined', settled, at(context), { refundId, reason: outcome.reason });
        const reason =
          outcome.reason === 'capture_unknown'
            ? 'CaptureUnknown'
            : outcome.reason === 'amount_invalid'
              ? 'AmountInvalid'
              : 'RefundDeclined';
        return failure(reason, outcome.detail, { declineReason: outcome.reason });
      }
      emit(outbox, tx, 'refunded', settled, at(context), { refundId, refundedAmount: intent.amount });
      return success({ refundId });
    },
  });
}
