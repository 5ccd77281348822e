import {
  after,
  type Command,
  type CommandContext,
  failure,
  localCommand,
  type Milliseconds,
  type Outbox,
  success,
  toRfc3339,
} from '@mercato/kit';
import { orderedName } from '@mercato/kit/ordered-name.ts';
import { Type } from '@sinclair/typebox';
import { type Line, type ReservationId, sumLines } from '../domain/names.ts';
import { type Strategy, source } from '../domain/sourcing.ts';
import { announce, insertReservation } from '../rows/reservations.ts';
import { move } from '../rows/stock.ts';
import { loadOffers } from '../rows/warehouses.ts';
import { ReserveInput } from './schemas.ts';

/** An order comes from so many warehouses at most: their names must fit into the output of commit-stock (1 KiB). */
export const maxSplits = 20;

export interface ReserveOptions {
  readonly outbox: Outbox;
  readonly strategy: Strategy;
  /** How long the hold lasts unless it is committed. */
  readonly hold: Milliseconds;
}

/**
 * reserve-stock: holds the goods of an order until a time. Check and hold are one transaction (Vendure #3508 had two), so of two orders for
 * the last unit one gets it and the other OutOfStock. All lines or none.
 */
export const reserveStock = ({ outbox, strategy, hold }: ReserveOptions): Command =>
  localCommand({
    name: 'reserve-stock',
    kind: 'action',
    summary: 'Holds the goods of an order until a time',
    reasons: ['OutOfStock', 'UnknownSku'],
    input: ReserveInput,
    output: Type.Object({ reservationId: Type.String(), expiresAt: Type.String({ format: 'date-time' }) }),
    carryOut(tx, context, input) {
      const wanted = sumLines(input.lines as Line[]);
      const { offers, unknown } = loadOffers(tx, wanted);
      if (unknown.length > 0)
        return failure('UnknownSku', `no warehouse has ever had ${unknown.slice(0, 5).join(', ')}`);
      const plan = source(strategy, wanted, offers, input.shipTo);
      if (!plan.found) {
        const missing = plan.missing.slice(0, 10);
        const detail = missing.map(
          ({ sku, wanted: want, available }) => `${sku}: ${want} wanted, ${available} available`,
        );
        return failure('OutOfStock', detail.join('; '), { missing: missing.map((each) => ({ ...each })) });
      }
      if (new Set(plan.allocations.map(({ warehouse }) => warehouse)).size > maxSplits) {
        return failure('OutOfStock', `the goods are spread over more than ${maxSplits} warehouses`);
      }
      const { now, namespace, saga, orderId, step, epoch } = context;
      const id = reservationIdFor(context);
      for (const part of plan.allocations) move(tx, 'reserved', part, id, now);
      const expiresAt = after(now, hold);
      const reservation = {
        id,
        namespace,
        saga,
        orderId,
        step,
        epoch,
        state: 'reserved',
        expiresAt,
        createdAt: now,
        changedAt: now,
      } as const;
      insertReservation(tx, reservation, plan.allocations);
      announce(tx, outbox, reservation, plan.allocations, now, context.traceparent);
      return success({ reservationId: id, expiresAt: toRfc3339(expiresAt) });
    },
  });

/** Follows from what is attempted, so that a simulated run is the same each time. */
const reservationIdFor = ({ begun, reference }: CommandContext): ReservationId =>
  `rsv-${orderedName(begun, reference)}` as ReservationId;
