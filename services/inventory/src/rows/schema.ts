import type { Migrations } from '@mercato/kit';

/**
 * Counters have CHECKs, so that a mistake in the code fails its transaction instead of being sold. `movement` is append-only, and triggers
 * see to it.
 */
export const inventoryMigrations: Migrations = {
  component: 'inventory',
  steps: [
    `CREATE TABLE warehouse (
       id TEXT PRIMARY KEY, country TEXT NOT NULL, lat REAL, lon REAL, priority INTEGER NOT NULL,
       safety_stock INTEGER NOT NULL CHECK (safety_stock >= 0), reorder_point INTEGER NOT NULL CHECK (reorder_point >= 0)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE sku_policy (
       warehouse TEXT NOT NULL REFERENCES warehouse, sku TEXT NOT NULL, safety_stock INTEGER, reorder_point INTEGER,
       PRIMARY KEY (warehouse, sku)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE stock (
       sku TEXT NOT NULL, warehouse TEXT NOT NULL,
       on_hand INTEGER NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
       reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
       committed INTEGER NOT NULL DEFAULT 0 CHECK (committed >= 0),
       PRIMARY KEY (sku, warehouse)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX stock_of_warehouse ON stock (warehouse, sku);
     CREATE TABLE movement (
       id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, warehouse TEXT NOT NULL, sku TEXT NOT NULL,
       type TEXT NOT NULL CHECK (type IN ('received', 'adjusted', 'returned', 'reserved', 'released', 'expired', 'committed',
         'uncommitted', 'shipped')),
       quantity INTEGER NOT NULL CHECK (quantity > 0 OR type = 'adjusted'),
       reference TEXT NOT NULL
     ) STRICT;
     CREATE TRIGGER movement_kept BEFORE DELETE ON movement BEGIN SELECT raise(ABORT, 'movements are append-only'); END;
     CREATE TRIGGER movement_unchanged BEFORE UPDATE ON movement BEGIN SELECT raise(ABORT, 'movements are append-only'); END;
     CREATE TABLE reservation (
       id TEXT PRIMARY KEY, namespace TEXT NOT NULL, saga TEXT NOT NULL, order_id TEXT NOT NULL, step TEXT NOT NULL,
       epoch INTEGER NOT NULL, state TEXT NOT NULL CHECK (state IN ('reserved', 'committed', 'released', 'expired', 'shipped')),
       expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX reservation_due ON reservation (expires_at) WHERE state = 'reserved';
     CREATE INDEX reservation_of_order ON reservation (namespace, saga, order_id);
     CREATE INDEX reservation_open ON reservation (id) WHERE state IN ('reserved', 'committed');
     CREATE TABLE reservation_line (
       reservation TEXT NOT NULL, sku TEXT NOT NULL, warehouse TEXT NOT NULL, quantity INTEGER NOT NULL CHECK (quantity > 0),
       PRIMARY KEY (reservation, sku, warehouse)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE remembered (
       kind TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, fingerprint TEXT NOT NULL, answer TEXT NOT NULL,
       PRIMARY KEY (kind, id)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE repair (
       id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, by TEXT NOT NULL, warehouse TEXT NOT NULL, sku TEXT NOT NULL,
       before TEXT NOT NULL, after TEXT NOT NULL
     ) STRICT;`,
  ],
};
