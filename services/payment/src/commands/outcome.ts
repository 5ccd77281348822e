import type { CommandContext, JsonObject, OrderEvent, Outbox, Tx } from '@mercato/kit';
import type { Lookup, Outcome, PaymentProcessor, ProcessorId } from '../ports/processor.ts';
import type { Order, PaymentRow } from '../store.ts';

/** What every command of the service works with. */
export interface Means {
  readonly processor: PaymentProcessor;
  readonly outbox: Outbox;
}

/** The processor did not say what became of a call. The command stays in flight, and its next repeat begins with a look-up. */
export class OutcomeUnknown extends Error {
  constructor(detail: string) {
    super(`the processor gave no answer that can be relied on: ${detail}`);
    this.name = 'OutcomeUnknown';
  }
}

/** An answer that can be relied on. */
export type Known<T> = Exclude<Outcome<T>, { outcome: 'unknown' }>;

/** The outcome, unless it is unknown. Throws OutcomeUnknown then. */
export function known<T>(outcome: Outcome<T>): Known<T> {
  if (outcome.outcome === 'unknown') throw new OutcomeUnknown(outcome.detail);
  return outcome as Known<T>;
}

/** What a look-up found, undefined for nothing. Throws OutcomeUnknown when it cannot be known now. */
export function found(lookup: Lookup): Exclude<Lookup, { outcome: 'unknown' | 'absent' }> | undefined {
  if (lookup.outcome === 'unknown') throw new OutcomeUnknown(lookup.detail);
  return lookup.outcome === 'absent' ? undefined : lookup;
}

/** `namespace/saga/orderId`: what the processor's log is joined on. */
export function orderKeyOf(order: Order): string {
  return `${order.namespace}/${order.saga}/${order.orderId}`;
}

/** Writes what happened to a payment to the outbox, in the transaction of the change. */
export function emit(
  outbox: Outbox,
  tx: Tx,
  happened: string,
  row: PaymentRow,
  at: Pick<OrderEvent, 'time' | 'traceparent'>,
  more: JsonObject = {},
): void {
  outbox.emit(tx, {
    type: `dev.mercato.payment.${happened}`,
    namespace: row.order.namespace,
    saga: row.order.saga,
    orderId: row.order.orderId,
    data: {
      authorisationId: row.authorisationId,
      amount: row.payment.amount,
      currency: row.payment.currency,
      ...more,
    },
    time: at.time,
    ...(at.traceparent === undefined ? {} : { traceparent: at.traceparent }),
  });
}

/** An event's time and trace, from the command that caused it. */
export function at(context: CommandContext): Pick<OrderEvent, 'time' | 'traceparent'> {
  return {
    time: context.now,
    ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
  };
}

/** The row that a command's own intent wrote. Its absence means that somebody edited the database. */
export function mustFind<T>(row: T | undefined, what: string): T {
  if (row === undefined) throw new Error(`${what} is not in the store, although an intent names it`);
  return row;
}

/** The processor's id of an authorisation that must have one by now. */
export function processorIdOf(row: PaymentRow): ProcessorId {
  return mustFind(row.processorId, `the processor's id of ${row.authorisationId}`);
}
