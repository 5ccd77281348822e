import type { Instant, Reader, Store, Tx } from '@mercato/kit';
import type { RunningLevels } from '../domain/levels.ts';
import type { Sku, WarehouseId } from '../domain/names.ts';
import { effects, empty, type Level, type MovementType } from '../domain/stock.ts';
import { levelsOf, setLevel } from './stock.ts';

/** A counter that is not what the movements say. */
export interface Difference {
  readonly warehouse: string;
  readonly sku: string;
  readonly counter: keyof Level;
  readonly stored: number;
  readonly recomputed: number;
}

/** A counter that is not what the open reservations hold. */
export interface ReservationDifference {
  readonly warehouse: string;
  readonly sku: string;
  readonly counter: 'reserved' | 'committed';
  readonly stored: number;
  readonly held: number;
}

export interface Conservation {
  /** No differences of either sort, and received + adjusted + returned = on hand + shipped. */
  readonly balanced: boolean;
  /** SKUs times warehouses that were looked at. */
  readonly levels: number;
  readonly movements: number;
  /** Sums over all, of movements and of counters. */
  readonly totals: Readonly<Record<MovementType | keyof Level, number>>;
  readonly differences: readonly Difference[];
  readonly reservations: readonly ReservationDifference[];
}

/** Movements that are summed up in one go; between two, orders get their turn. Some 20 ms. */
const chunk = 20_000;

const types = Object.keys(effects) as MovementType[];
const counters = Object.keys(empty) as (keyof Level)[];

interface Pair {
  readonly warehouse: WarehouseId;
  readonly sku: Sku;
}

/** The log summed up to some movement. The log is append-only, so that part of it stays true while more is written. */
class MovementSums {
  readonly pairs = new Map<string, Pair & { readonly level: Record<keyof Level, number> }>();
  readonly byType = Object.fromEntries(types.map((type) => [type, 0])) as Record<MovementType, number>;
  movements = 0;
  #upTo = 0;

  /** Adds the next chunk. False when that was the end of the log. */
  add(reader: Reader): boolean {
    const to = this.#upTo + chunk;
    const rows = reader.all<Pair & { type: MovementType; quantity: number; count: number }>(
      `SELECT warehouse, sku, type, sum(quantity) AS quantity, count(*) AS count FROM movement
       WHERE id > ? AND id <= ? GROUP BY warehouse, sku, type`,
      this.#upTo,
      to,
    );
    for (const { warehouse, sku, type, quantity, count } of rows) {
      this.byType[type] += quantity;
      this.movements += count;
      const { level } = this.#pair(warehouse, sku);
      for (const counter of counters) level[counter] += effects[type][counter] * quantity;
    }
    const { last } = reader.get<{ last: number }>('SELECT coalesce(max(id), 0) AS last FROM movement')!;
    // Past the end the next one starts at the last movement, not at where a full chunk would have ended.
    this.#upTo = Math.min(to, last);
    return to < last;
  }

  #pair(warehouse: WarehouseId, sku: Sku) {
    // Neither a warehouse nor a SKU can contain a line break.
    const key = `${warehouse}\n${sku}`;
    let pair = this.pairs.get(key);
    if (pair === undefined) {
      pair = { warehouse, sku, level: { ...empty } };
      this.pairs.set(key, pair);
    }
    return pair;
  }
}

/** Sums the log up in chunks, so that even a long one holds nobody up. What is written meanwhile is left to the caller's last `add`. */
async function sumMovements(store: Store): Promise<MovementSums> {
  const sums = new MovementSums();
  while (await store.read((reader) => sums.add(reader))) await new Promise((resolve) => setImmediate(resolve));
  return sums;
}

interface Compared extends Pair {
  readonly stored: Level;
  readonly recomputed: Level;
}

/**
 * Counters beside movements, in one consistent view; by warehouse and SKU.
 * @param levels of the commit at hand: what is moved in it stands in the log already, and not yet in the table
 */
function compare(reader: Reader, sums: MovementSums, levels?: RunningLevels): Compared[] {
  while (sums.add(reader));
  const open = new Map(sums.pairs);
  const rows = reader.all<Pair & Record<keyof Level, number>>(
    'SELECT warehouse, sku, on_hand AS onHand, reserved, committed FROM stock ORDER BY warehouse, sku',
  );
  const compared = rows.map(({ warehouse, sku, ...kept }): Compared => {
    const stored = levels?.known(warehouse, sku) ?? kept;
    const key = `${warehouse}\n${sku}`;
    const recomputed = open.get(key)?.level ?? empty;
    open.delete(key);
    return { warehouse, sku, stored, recomputed };
  });
  const lost = [...open.values()].map(({ warehouse, sku, level }) => ({
    warehouse,
    sku,
    stored: empty,
    recomputed: level,
  }));
  return [...compared, ...lost];
}

const differencesOf = ({ warehouse, sku, stored, recomputed }: Compared): Difference[] =>
  counters
    .filter((counter) => stored[counter] !== recomputed[counter])
    .map((counter) => ({ warehouse, sku, counter, stored: stored[counter], recomputed: recomputed[counter] }));

/** Compares counters with movements, and with what open reservations hold. Changes nothing. */
export async function checkConservation(store: Store): Promise<Conservation> {
  const sums = await sumMovements(store);
  return store.read((reader) => {
    const compared = compare(reader, sums);
    const differences = compared.flatMap(differencesOf);
    const reservations = compareReservations(reader);
    const total = (counter: keyof Level) => compared.reduce((sum, { stored }) => sum + stored[counter], 0);
    const totals = {
      ...sums.byType,
      onHand: total('onHand'),
      reserved: total('reserved'),
      committed: total('committed'),
    };
    const conserved = totals.received + totals.adjusted + totals.returned === totals.onHand + totals.shipped;
    return {
      balanced: differences.length === 0 && reservations.length === 0 && conserved,
      levels: compared.length,
      movements: sums.movements,
      totals,
      differences,
      reservations,
    };
  });
}

function compareReservations(reader: Reader): ReservationDifference[] {
  return (['reserved', 'committed'] as const).flatMap((counter) =>
    reader
      .all<Pair & { stored: number; held: number }>(
        `SELECT coalesce(s.warehouse, h.warehouse) AS warehouse, coalesce(s.sku, h.sku) AS sku, coalesce(s.${counter}, 0) AS stored,
           coalesce(h.held, 0) AS held
         FROM stock s FULL JOIN (
           SELECT l.warehouse, l.sku, sum(l.quantity) AS held FROM reservation r JOIN reservation_line l ON l.reservation = r.id
           WHERE r.state IN ('reserved', 'committed') AND r.state = '${counter}' GROUP BY l.warehouse, l.sku
         ) h ON h.warehouse = s.warehouse AND h.sku = s.sku
         WHERE coalesce(s.${counter}, 0) <> coalesce(h.held, 0) ORDER BY 1, 2`,
      )
      .map((row) => ({ ...row, counter })),
  );
}

/**
 * Sets counters that drifted back to what the movements say, and keeps a record of each. Movements are the truth: they are append-only and
 * written with every change. A level whose movements sum up to less than nothing is left alone, and stays reported. `dryRun` changes nothing.
 * Returns what was, or would be, set right.
 */
export async function repairDrift(store: Store, by: string, now: Instant, dryRun: boolean): Promise<Difference[]> {
  const sums = await sumMovements(store);
  return store.transact((tx) => {
    const drifted = compare(tx, sums, levelsOf(tx)).filter(
      (each) => differencesOf(each).length > 0 && counters.every((counter) => each.recomputed[counter] >= 0),
    );
    if (!dryRun) for (const each of drifted) repair(tx, each, by, now);
    return drifted.flatMap(differencesOf);
  });
}

function repair(tx: Tx, { warehouse, sku, stored, recomputed }: Compared, by: string, now: Instant): void {
  setLevel(tx, warehouse, sku, recomputed);
  tx.run(
    'INSERT INTO repair (at, by, warehouse, sku, before, after) VALUES (?, ?, ?, ?, ?, ?)',
    now,
    by,
    warehouse,
    sku,
    JSON.stringify(stored),
    JSON.stringify(recomputed),
  );
}
