import { ProblemError } from '@mercato/kit';
import { type CustomerId, type OrderId, parseOrderId } from '../domain/ids.ts';

/** Where a list of a customer's orders goes on: below this order. Opaque to clients, so that it may become something else. */
export function formatCursor(customer: CustomerId, last: OrderId): string {
  return Buffer.from(`1 ${last} ${customer}`).toString('base64url');
}

/**
 * Reads a cursor that {@link formatCursor} wrote for the same customer. It is not signed: it names nothing that its reader may not ask for anyway.
 * @throws ProblemError 400 BadCursor for any other
 */
export function parseCursor(customer: CustomerId, cursor: string): OrderId {
  const [version, last, whose] = Buffer.from(cursor, 'base64url').toString().split(' ');
  const id = parseOrderId(last ?? '');
  if (version !== '1' || id === undefined || whose !== customer || formatCursor(customer, id) !== cursor) {
    const detail = 'cursor is none that a list of this customer gave: send the value of next as it was, or none';
    throw new ProblemError(400, 'BadCursor', detail);
  }
  return id;
}
