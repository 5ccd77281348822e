import type { OrderId } from '@mercato/operator/api/names.ts';
import type { OrderInput } from '@mercato/operator/api/ordersagarun.ts';

/** An order that is to be played. */
export interface PlannedOrder {
  readonly orderId: OrderId;
  /** When its customer sends it, in milliseconds of the day that is played. */
  readonly atMs: number;
  readonly input: OrderInput;
  /** Whether its customer asks for the cancelling as soon as it is taken; it is then placed with the order service in any case. @default false */
  readonly cancel?: boolean;
}

/** What the customer is to pay, in minor units. */
export function totalOf(input: Pick<OrderInput, 'lines'>): number {
  return input.lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0);
}
