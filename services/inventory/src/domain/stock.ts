/** What a warehouse knows of one SKU. All are whole units and never negative. */
export interface Level {
  /** Physically there. */
  readonly onHand: number;
  /** Held for orders until their reservation expires. */
  readonly reserved: number;
  /** Promised to orders for good, and not yet picked up. */
  readonly committed: number;
}

export const empty: Level = { onHand: 0, reserved: 0, committed: 0 };

/**
 * Everything that can happen to stock. The log of movements is append-only, and the counters are its sum:
 *
 * - `received`: goods came in. `returned`: a customer sent goods back, and they are fit for sale.
 * - `adjusted`: somebody counted, or goods were damaged or lost: the only movement whose quantity may be negative.
 * - `reserved`: held for an order, until a time. `released`: the hold was given up. `expired`: its time ran out.
 * - `committed`: the order is on; the hold expires no more. `uncommitted`: that was taken back (a compensation).
 * - `shipped`: the carrier picked the goods up. Only now do they leave on hand.
 *
 * So, per SKU and warehouse, from an empty start: received + adjusted + returned = on hand + shipped.
 */
export type MovementType =
  | 'received'
  | 'adjusted'
  | 'returned'
  | 'reserved'
  | 'released'
  | 'expired'
  | 'committed'
  | 'uncommitted'
  | 'shipped';

/** How many times its quantity a movement adds to each counter. */
export const effects: Readonly<Record<MovementType, Level>> = {
  received: { onHand: 1, reserved: 0, committed: 0 },
  adjusted: { onHand: 1, reserved: 0, committed: 0 },
  returned: { onHand: 1, reserved: 0, committed: 0 },
  reserved: { onHand: 0, reserved: 1, committed: 0 },
  released: { onHand: 0, reserved: -1, committed: 0 },
  expired: { onHand: 0, reserved: -1, committed: 0 },
  committed: { onHand: 0, reserved: -1, committed: 1 },
  uncommitted: { onHand: 0, reserved: 1, committed: -1 },
  shipped: { onHand: -1, reserved: 0, committed: -1 },
};

/** A movement would make a counter negative: the caller believed something that is not so. Nothing was changed. */
export class NegativeStock extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'NegativeStock';
  }
}

/**
 * The level after a movement.
 * @throws NegativeStock
 */
export function apply(level: Level, type: MovementType, quantity: number): Level {
  const effect = effects[type];
  const next = {
    onHand: level.onHand + effect.onHand * quantity,
    reserved: level.reserved + effect.reserved * quantity,
    committed: level.committed + effect.committed * quantity,
  };
  for (const [counter, value] of Object.entries(next)) {
    if (value < 0) throw new NegativeStock(`${quantity} ${type} would make ${counter} ${value}`);
  }
  return next;
}

/** What can still be promised: on hand, less what is promised already, less what the policy keeps back. Never negative. */
export const available = (level: Level, safetyStock: number): number =>
  Math.max(0, level.onHand - level.reserved - level.committed - safetyStock);

/**
 * What is promised and not there, because a count found less than the books said. Promises stay; nothing more is promised; somebody must
 * act: it is reported with the adjustment, the level and the warehouse's summary.
 */
export const shortage = (level: Level): number => Math.max(0, level.reserved + level.committed - level.onHand);
