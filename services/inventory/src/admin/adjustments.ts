import { type Instant, ProblemError, problem, type Route, route, type Tx, toRfc3339 } from '@mercato/kit';
import { type Static, Type } from '@sinclair/typebox';
import { LineSchema, SkuSchema, WarehouseSchema } from '../commands/schemas.ts';
import { type Line, type Sku, sumLines, type WarehouseId } from '../domain/names.ts';
import { empty, type MovementType, shortage } from '../domain/stock.ts';
import { once } from '../rows/remembered.ts';
import { levelOf, move } from '../rows/stock.ts';
import type { AdminPorts } from './ports.ts';
import { knownWarehouse } from './warehouses.ts';

const Id = Type.String({ minLength: 1, maxLength: 128, pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]*$' });

const Adjustment = Type.Object(
  {
    adjustmentId: Id,
    warehouse: WarehouseSchema,
    sku: SkuSchema,
    type: Type.Union(['counted', 'received', 'damaged', 'lost', 'returned'].map((type) => Type.Literal(type))),
    quantity: Type.Integer({ minimum: 0, maximum: 1_000_000_000 }),
    reason: Type.String({ minLength: 1, maxLength: 256 }),
  },
  { additionalProperties: false },
);
type Adjustment = Static<typeof Adjustment>;

const Applied = Type.Object({
  adjustmentId: Type.String(),
  warehouse: Type.String(),
  sku: Type.String(),
  type: Type.String(),
  delta: Type.Integer({ description: 'What was added to on hand' }),
  before: Type.Integer({ description: 'On hand before' }),
  after: Type.Integer({ description: 'On hand after' }),
  shortage: Type.Integer({ description: 'Promised to orders and not there any more: somebody must act' }),
  movement: Type.String({ description: 'Its number in the log' }),
  appliedAt: Type.String({ format: 'date-time' }),
});

const Receipt = Type.Object(
  {
    receiptId: Id,
    warehouse: WarehouseSchema,
    restock: Type.String({ minLength: 1, maxLength: 253, description: 'The RestockOrder that the goods came for' }),
    lines: Type.Array(LineSchema, { minItems: 1, maxItems: 500 }),
  },
  { additionalProperties: false },
);
type Receipt = Static<typeof Receipt>;

/**
 * Books one adjustment, once for ever. A count sets on hand to what was counted, also when less is there than was promised: the goods are
 * not there, whatever the books say. Promises then stay, nothing more is promised, and the answer says the shortage.
 */
function adjust(tx: Tx, adjustment: Adjustment, now: Instant): Static<typeof Applied> {
  return once(tx, 'adjustment', adjustment.adjustmentId, adjustment, now, () => {
    const { adjustmentId, type, quantity } = adjustment;
    const { id: warehouse } = knownWarehouse(tx, adjustment.warehouse);
    const sku = adjustment.sku as Sku;
    if (quantity === 0 && type !== 'counted') throw new ProblemError(422, 'NothingToBook', 'only a count can be 0');
    const { onHand } = levelOf(tx, warehouse, sku) ?? empty;
    const [movementType, delta]: [MovementType, number] =
      type === 'counted'
        ? ['adjusted', quantity - onHand]
        : type === 'received' || type === 'returned'
          ? [type, quantity]
          : ['adjusted', -quantity];
    if (onHand + delta < 0) {
      throw new ProblemError(
        422,
        'NotOnHand',
        `${quantity} ${type}, but only ${onHand} of ${sku} are on hand in ${warehouse}`,
        { onHand },
      );
    }
    const { movement, before, after } = move(tx, movementType, { warehouse, sku, quantity: delta }, adjustmentId, now);
    return {
      adjustmentId,
      warehouse,
      sku,
      type,
      delta,
      before: before.onHand,
      after: after.onHand,
      shortage: shortage(after),
      movement: String(movement),
      appliedAt: toRfc3339(now),
    };
  });
}

function receive(tx: Tx, receipt: Receipt, now: Instant) {
  return once(tx, 'receipt', receipt.receiptId, receipt, now, () => {
    const { id: warehouse } = knownWarehouse(tx, receipt.warehouse as WarehouseId);
    const lines = sumLines(receipt.lines as Line[]).map(({ sku, quantity }) => {
      const { movement, after } = move(tx, 'received', { warehouse, sku, quantity }, receipt.receiptId, now);
      return { sku, quantity, movement: String(movement), after: after.onHand };
    });
    return { receiptId: receipt.receiptId, warehouse, restock: receipt.restock, lines, receivedAt: toRfc3339(now) };
  });
}

/** Corrections and deliveries: what the operator's StockAdjustment and RestockOrder controllers book. */
export const adjustmentRoutes = ({ store, clock }: AdminPorts): Route[] => [
  route({
    method: 'post',
    path: '/adjustments',
    summary:
      'Books an adjustment once for ever: the same id answers the same and changes nothing; with another content it is refused (409)',
    body: Adjustment,
    response: Applied,
    handle: ({ body }) => store.transact((tx) => adjust(tx, body, clock.now())),
  }),
  route({
    method: 'post',
    path: '/adjustments/batch',
    summary: 'Books up to 500 adjustments that do not depend on each other; an answer each, in their order',
    body: Type.Object({ items: Type.Array(Adjustment, { minItems: 1, maxItems: 500 }) }),
    response: Type.Object({ items: Type.Array(Type.Object({ status: Type.Integer(), body: Type.Object({}) })) }),
    async handle({ body }) {
      const items = body.items.map(async (item) => {
        try {
          return { status: 200, body: await store.transact((tx) => adjust(tx, item, clock.now())) };
        } catch (error) {
          if (error instanceof ProblemError) return { status: error.problem.status, body: error.problem };
          return { status: 503, body: problem(503, 'StoreUnavailable', 'not booked; send it again') };
        }
      });
      return { items: await Promise.all(items) };
    },
  }),
  route({
    method: 'post',
    path: '/receipts',
    summary:
      'Books goods that came in, once: the same id answers the same and changes nothing; with another content it is refused (409)',
    body: Receipt,
    response: Type.Object({
      receiptId: Type.String(),
      warehouse: Type.String(),
      restock: Type.String(),
      lines: Type.Array(
        Type.Object({ sku: Type.String(), quantity: Type.Integer(), movement: Type.String(), after: Type.Integer() }),
      ),
      receivedAt: Type.String({ format: 'date-time' }),
    }),
    handle: ({ body }) => store.transact((tx) => receive(tx, body, clock.now())),
  }),
];
