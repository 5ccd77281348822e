import { type Joined, verdictOf } from './joined.ts';
import type { MovementType, Observations, OrderKey, Reservation, Rule, StockLevel, Violation } from './observations.ts';

/** Holds inventory's counters against its movements, its reservations and the client's own log of goods; and its reservations against the runs. */
export function checkStock(seen: Observations, orders: ReadonlyMap<OrderKey, Joined>): Violation[] {
  return [...checkReservations(seen, orders), ...checkLevels(seen), ...checkBroughtIn(seen)];
}

function violation(rule: Rule, sentence: string, order?: OrderKey): Violation {
  return { rule, observer: 'inventory', sentence, ...(order === undefined ? {} : { order }) };
}

/** How many times its quantity a movement adds to on hand, reserved and committed. Said here again, since inventory's own table is under test. */
const EFFECTS: Readonly<Record<MovementType, readonly [number, number, number]>> = {
  received: [1, 0, 0],
  adjusted: [1, 0, 0],
  returned: [1, 0, 0],
  reserved: [0, 1, 0],
  released: [0, -1, 0],
  expired: [0, -1, 0],
  committed: [0, -1, 1],
  uncommitted: [0, 1, -1],
  shipped: [-1, 0, -1],
};

const isOpen = ({ state }: Reservation) => state === 'reserved' || state === 'committed';
const isKept = ({ state }: Reservation) => state === 'committed' || state === 'shipped';

function checkReservations(seen: Observations, orders: ReadonlyMap<OrderKey, Joined>): Violation[] {
  const byOrder = Map.groupBy(seen.stock.reservations, (reservation) => reservation.key);
  const pickedUp = new Set(
    seen.carrier.filter(({ outcome }) => outcome === 'picked-up').map(({ orderKey }) => orderKey),
  );
  return [...orders.values()].flatMap((joined) => {
    const { key } = joined;
    const reservations = byOrder.get(key) ?? [];
    const verdict = verdictOf(joined, 'inventory');
    if (verdict === 'open' || verdict === 'given-up') return [];
    const orphans = reservations.filter((each) =>
      verdict === 'completed' ? each.state === 'reserved' : isOpen(each) || isKept(each),
    );
    const end = verdict === 'no-run' ? 'there is no run of it' : `the run is ${joined.runs[0]?.phase}`;
    const violations = orphans.map(({ id, state }) =>
      violation(
        'reservation-of-a-live-run',
        `order ${key}: inventory has the reservation ${id} as ${state}; ${end}`,
        key,
      ),
    );
    if (verdict === 'completed') {
      const kept = reservations.filter(isKept);
      violations.push(...checkKept(joined, kept), ...checkLeft(key, kept, pickedUp.has(key)));
    }
    return violations;
  });
}

/** A completed order's goods are set aside, or have left: each SKU in the quantity ordered. */
function checkKept({ key, order }: Joined, kept: readonly Reservation[]): Violation[] {
  if (order === undefined) return [];
  const wanted = tally(order.lines.map(({ sku, quantity }) => [sku, quantity]));
  const got = tally(kept.flatMap(({ parts }) => parts.map(({ sku, quantity }) => [sku, quantity])));
  return [...new Set([...wanted.keys(), ...got.keys()])]
    .filter((sku) => (wanted.get(sku) ?? 0) !== (got.get(sku) ?? 0))
    .map((sku) =>
      violation(
        'goods-set-aside',
        `order ${key}: inventory set ${got.get(sku) ?? 0} of ${sku} aside; the run is Succeeded and ordered ${wanted.get(sku) ?? 0}`,
        key,
      ),
    );
}

/** A completed order's goods have left the stock if, and only if, the carrier has picked them up. */
function checkLeft(key: OrderKey, kept: readonly Reservation[], isPickedUp: boolean): Violation[] {
  return kept
    .filter(({ state }) => (state === 'shipped') !== isPickedUp)
    .map(({ id, state }) =>
      violation(
        'left-as-picked-up',
        `order ${key}: inventory has the reservation ${id} as ${state}; the carrier has ${isPickedUp ? '' : 'not '}picked the goods up`,
        key,
      ),
    );
}

interface Sums {
  onHand: number;
  reserved: number;
  committed: number;
  in: number;
  shipped: number;
  held: number;
  kept: number;
  left: number;
}

const place = (at: { warehouse: string; sku: string }) => `${at.sku} in ${at.warehouse}`;

/** Recomputes each counter, twice: from the movements and from the reservations. */
function checkLevels({ stock }: Observations): Violation[] {
  const sums = sumUp(stock);
  const levels = new Map(stock.levels.map((level) => [place(level), level]));
  const violations: Violation[] = [];
  for (const where of new Set([...sums.keys(), ...levels.keys()])) {
    const level = levels.get(where) ?? { onHand: 0, reserved: 0, committed: 0 };
    violations.push(...checkLevel(where, level, sums.get(where) ?? zero()));
  }
  return violations;
}

function checkLevel(
  where: string,
  level: Pick<StockLevel, 'onHand' | 'reserved' | 'committed'>,
  sums: Sums,
): Violation[] {
  const violations: Violation[] = [];
  const compare = (rule: Rule, what: string, counted: number, recomputed: number) => {
    if (counted !== recomputed)
      violations.push(violation(rule, `${where}: inventory says ${what} ${counted}, recomputed it is ${recomputed}`));
  };
  compare('counters-as-movements', 'on hand', level.onHand, sums.onHand);
  compare('counters-as-movements', 'reserved', level.reserved, sums.reserved);
  compare('counters-as-movements', 'committed', level.committed, sums.committed);
  compare('counters-as-reservations', 'reserved', level.reserved, sums.held);
  compare('counters-as-reservations', 'committed', level.committed, sums.kept);
  if (sums.in !== level.onHand + sums.left)
    violations.push(
      violation(
        'stock-in-equals-stock-out',
        `${where}: ${sums.in} came in net of adjustments; ${level.onHand} on hand and ${sums.left} shipped make ${level.onHand + sums.left}`,
      ),
    );
  compare('stock-in-equals-stock-out', 'shipped', sums.shipped, sums.left);
  for (const counter of ['onHand', 'reserved', 'committed'] as const)
    if (level[counter] < 0)
      violations.push(violation('no-negative-stock', `${where}: ${counter} is ${level[counter]}`));
  return violations;
}

function sumUp(stock: Observations['stock']): Map<string, Sums> {
  const all = new Map<string, Sums>();
  const at = (where: string): Sums => {
    const sums = all.get(where) ?? zero();
    all.set(where, sums);
    return sums;
  };
  for (const movement of stock.movements) {
    const { type, quantity } = movement;
    const [onHand, reserved, committed] = EFFECTS[type];
    const sums = at(place(movement));
    sums.onHand += onHand * quantity;
    sums.reserved += reserved * quantity;
    sums.committed += committed * quantity;
    if (type === 'shipped') sums.shipped += quantity;
    else sums.in += onHand * quantity;
  }
  for (const { state, parts } of stock.reservations) {
    for (const part of parts) {
      const sums = at(place(part));
      if (state === 'reserved') sums.held += part.quantity;
      if (state === 'committed') sums.kept += part.quantity;
      if (state === 'shipped') sums.left += part.quantity;
    }
  }
  return all;
}

const zero = (): Sums => ({ onHand: 0, reserved: 0, committed: 0, in: 0, shipped: 0, held: 0, kept: 0, left: 0 });

/** What the client booked is in the log of movements, once. */
function checkBroughtIn({ broughtIn = [], stock }: Observations): Violation[] {
  const movements = Map.groupBy(
    stock.movements.filter(({ type }) => type === 'received' || type === 'adjusted' || type === 'returned'),
    ({ reference }) => reference,
  );
  return broughtIn.flatMap(({ reference, warehouse, sku, quantity }) => {
    const got = (movements.get(reference) ?? []).filter((each) => each.warehouse === warehouse && each.sku === sku);
    if (got.length === 1 && got[0]!.quantity === quantity) return [];
    const found = got.length === 0 ? 'no movement' : `movements of [${got.map((each) => each.quantity).join(', ')}]`;
    const where = place({ warehouse, sku });
    return [
      violation(
        'adjusted-once',
        `adjustment ${reference}: inventory has ${found} of ${where} instead of one of ${quantity}`,
      ),
    ];
  });
}

function tally(entries: readonly (readonly [string, number])[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [name, quantity] of entries) sums.set(name, (sums.get(name) ?? 0) + quantity);
  return sums;
}
