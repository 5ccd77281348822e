import type { Sku, WarehouseId } from './names.ts';
import { apply, available, empty, type Level, type MovementType, NegativeStock } from './stock.ts';

/** What moves. Only what is adjusted can be negative. */
export interface Movement {
  readonly warehouse: WarehouseId;
  readonly sku: Sku;
  readonly quantity: number;
}

/** A row that is to be written: from what it was when it was read to what it is now. */
export interface LevelChange {
  readonly warehouse: WarehouseId;
  readonly sku: Sku;
  /** Undefined: there was no row. A back end without transactions over many operations writes on condition that this still holds. */
  readonly before: Level | undefined;
  readonly after: Level;
}

interface Entry {
  readonly warehouse: WarehouseId;
  readonly sku: Sku;
  readonly read: Level | undefined;
  now: Level | undefined;
}

/**
 * The levels that the operations of one commit move: each is read once, each operation sees what those before it left, and each comes out as one
 * change, however many operations moved it. So a flash sale on one SKU costs one write of its row per commit, and not one per order: a DynamoDB item
 * bears some 500 transactional writes a second.
 *
 * An operation that fails takes back its own movements only ({@link undo}); {@link keep} ends one that does not. Knows no store.
 */
export class RunningLevels {
  readonly #load: (warehouse: WarehouseId, sku: Sku) => Level | undefined;
  readonly #entries = new Map<string, Entry>();
  /** What the operation at hand changed, as it was before it. */
  readonly #before = new Map<Entry, Level | undefined>();
  #movements = 0;
  /** Of the operations before the one at hand. */
  #kept = 0;

  /** @param load reads a level from where it is kept; undefined when it never was there */
  constructor(load: (warehouse: WarehouseId, sku: Sku) => Level | undefined) {
    this.#load = load;
  }

  /** The level as the operation at hand sees it. */
  at(warehouse: WarehouseId, sku: Sku): Level | undefined {
    return this.#entry(warehouse, sku).now;
  }

  /** The level where an operation of this commit has asked for it or moved it; undefined where what is kept still holds. */
  known(warehouse: WarehouseId, sku: Sku): Level | undefined {
    return this.#entries.get(keyOf(warehouse, sku))?.now;
  }

  /**
   * Makes a movement. One that promises goods is refused when they are not free, whatever the caller read before.
   * @throws NegativeStock when a counter, or what is free, would become negative; then nothing has moved
   */
  move(type: MovementType, { warehouse, sku, quantity }: Movement): { before: Level; after: Level } {
    const entry = this.#entry(warehouse, sku);
    const before = entry.now ?? empty;
    const after = apply(before, type, quantity);
    if (type === 'reserved' && available(before, 0) < quantity)
      throw new NegativeStock(`${quantity} of ${sku} are not free in ${warehouse}`);
    this.#remember(entry);
    entry.now = after;
    this.#movements += 1;
    return { before, after };
  }

  /** Sets a level to what it is to be, without a movement: for a repair. */
  set(warehouse: WarehouseId, sku: Sku, level: Level): void {
    const entry = this.#entry(warehouse, sku);
    this.#remember(entry);
    entry.now = level;
  }

  /** The operation at hand is over, and what it moved stays. */
  keep(): void {
    this.#kept = this.#movements;
    this.#before.clear();
  }

  /** Takes back what the operation at hand moved. */
  undo(): void {
    for (const [entry, before] of this.#before) entry.now = before;
    this.#movements = this.#kept;
    this.#before.clear();
  }

  /** How many movements there were; {@link changes} says into how many rows they go. */
  get movements(): number {
    return this.#movements;
  }

  /** The rows that are no longer what was read, by SKU and warehouse: always in this order, so that two commits never wait for each other crosswise. */
  changes(): LevelChange[] {
    const changes: LevelChange[] = [];
    for (const { warehouse, sku, read, now } of this.#entries.values()) {
      if (now === undefined || (read !== undefined && sameLevel(read, now))) continue;
      changes.push({ warehouse, sku, before: read, after: now });
    }
    return changes.sort((a, b) => compare(a.sku, b.sku) || compare(a.warehouse, b.warehouse));
  }

  #remember(entry: Entry): void {
    if (!this.#before.has(entry)) this.#before.set(entry, entry.now);
  }

  #entry(warehouse: WarehouseId, sku: Sku): Entry {
    const key = keyOf(warehouse, sku);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const read = this.#load(warehouse, sku);
      entry = { warehouse, sku, read, now: read };
      this.#entries.set(key, entry);
    }
    return entry;
  }
}

// Neither a warehouse nor a SKU can contain a line break.
const keyOf = (warehouse: WarehouseId, sku: Sku): string => `${sku}\n${warehouse}`;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const sameLevel = (a: Level, b: Level): boolean =>
  a.onHand === b.onHand && a.reserved === b.reserved && a.committed === b.committed;
