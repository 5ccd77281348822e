import { type Static, Type } from '@sinclair/typebox';
import type { Moment, Order } from '../domain/order.ts';
import { orderStates } from '../domain/states.ts';
import { Terms } from '../domain/terms.ts';

const State = Type.Unsafe<(typeof orderStates)[number]>({ type: 'string', enum: [...orderStates] });
const Time = Type.String({ description: 'RFC 3339' });

const summary = {
  id: Type.String(),
  state: State,
  customer: Terms.properties.customer,
  currency: Terms.properties.currency,
  total: Type.Integer({ minimum: 0, description: 'Minor units of the currency' }),
  placedAt: Time,
  updatedAt: Time,
  cancelRequestedAt: Type.Optional(Time),
  reason: Type.Optional(Type.String({ description: 'Why it is in this state, for programs' })),
  message: Type.Optional(Type.String({ description: 'The same for its customer' })),
};

/** An order in a list. */
export const OrderSummary = Type.Object(summary, { additionalProperties: false });

/** An order as its customer may see it: without the payment token, and without our own words for what went wrong. */
export const OrderView = Type.Object(
  { ...summary, lines: Terms.properties.lines, shipTo: Terms.properties.shipTo },
  { additionalProperties: false },
);

/** One moment of an order, as a stream tells it. */
export interface MomentView {
  readonly id: string;
  readonly state: string;
  readonly at: string;
  readonly reason?: string;
  readonly message?: string;
}

const time = (at: number): string => new Date(at).toISOString();

export function summaryOf({ id, terms, total, placedAt, progress }: Order): Static<typeof OrderSummary> {
  const { state, updatedAt, cancel, notice } = progress;
  return {
    id,
    state,
    customer: terms.customer,
    currency: terms.currency,
    total,
    placedAt: time(placedAt),
    updatedAt: time(updatedAt),
    ...(cancel === undefined ? {} : { cancelRequestedAt: time(cancel.at) }),
    ...notice,
  };
}

export function viewOf(order: Order): Static<typeof OrderView> {
  const { lines, shipTo } = order.terms;
  return { ...summaryOf(order), lines, shipTo };
}

export const momentOf = (id: string, { at, state, notice }: Moment): MomentView => ({
  id,
  state,
  at: time(at),
  ...notice,
});
