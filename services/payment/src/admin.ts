import { listingRoutes, type Route, route, type Store } from '@mercato/kit';
import { type Static, Type } from '@sinclair/typebox';
import { captured, refunded } from './domain/payment.ts';
import { idFrom } from './domain/reference.ts';
import { type PaymentRow, paymentsFrom, paymentsOfOrder, sums } from './store.ts';

const Amount = Type.Integer({ minimum: 0 });
const Refund = Type.Object({ refundId: Type.String(), reference: Type.String(), amount: Amount, state: Type.String() });
const Capture = Type.Object({
  captureId: Type.String(),
  reference: Type.String(),
  amount: Amount,
  state: Type.String(),
  refunds: Type.Array(Refund),
});
const PaymentView = Type.Object({
  authorisationId: Type.String(),
  reference: Type.String(),
  namespace: Type.String(),
  saga: Type.String(),
  orderId: Type.String(),
  state: Type.String(),
  fenced: Type.Boolean(),
  amount: Amount,
  currency: Type.String(),
  captured: Amount,
  refunded: Amount,
  token: Type.String(),
  createdAt: Type.String(),
  expiresAt: Type.Optional(Type.String()),
  declineReason: Type.Optional(Type.String()),
  checkAt: Type.Optional(Type.String()),
  captures: Type.Array(Capture),
});

/** A decimal string above 2^53-1, where a number would not be exact. */
const Sum = Type.Union([Amount, Type.String()]);
const SumsView = Type.Object({
  currency: Type.String(),
  payments: Type.Integer(),
  open: Type.Integer(),
  openAmount: Sum,
  captured: Sum,
  refunded: Sum,
  unresolved: Type.Integer(),
});

/** What people and the conservation check may ask the payment service. All of it needs a token. */
export function adminRoutes(store: Store): Route[] {
  return [
    ...listingRoutes<PaymentRow>({
      store,
      path: '/authorisations',
      name: 'payments',
      item: PaymentView,
      view,
      from: paymentsFrom,
      ofOrder: paymentsOfOrder,
    }),
    route({
      method: 'get',
      path: '/conservation',
      summary: "Our own sums by currency, to hold against the acquirer's log",
      response: Type.Object({ currencies: Type.Array(SumsView) }),
      handle: async () => ({ currencies: await store.read(sums) }),
    }),
  ];
}

function view(row: PaymentRow): Static<typeof PaymentView> {
  const { payment, order } = row;
  return {
    authorisationId: row.authorisationId,
    reference: row.reference,
    ...order,
    state: payment.state,
    fenced: payment.fenced,
    amount: payment.amount,
    currency: payment.currency,
    captured: captured(payment),
    refunded: refunded(payment),
    token: row.tokenMask,
    createdAt: new Date(row.createdAt).toISOString(),
    ...(payment.expiresAt === undefined ? {} : { expiresAt: payment.expiresAt }),
    ...(payment.declineReason === undefined ? {} : { declineReason: payment.declineReason }),
    ...(row.checkAt === undefined ? {} : { checkAt: new Date(row.checkAt).toISOString() }),
    captures: payment.captures.map((capture) => ({
      captureId: idFrom('ca_', capture.reference),
      reference: capture.reference,
      amount: capture.amount,
      state: capture.state,
      refunds: capture.refunds.map((refund) => ({ refundId: idFrom('re_', refund.reference), ...refund })),
    })),
  };
}
