import type { Migrations } from '@mercato/kit';

/**
 * The tables of orders. `order_key` is read by its key and swept by its row id, which rises with time: an index of its own for that would be one more
 * write for each order. `order_open` counts, so that nobody has to.
 */
export const orderMigrations: Migrations = {
  component: 'order',
  steps: [
    `CREATE TABLE shop_order (
       id TEXT PRIMARY KEY,
       customer TEXT NOT NULL,
       state TEXT NOT NULL CHECK (state IN ('Placed', 'Cancelling', 'Held', 'Completed', 'Failed', 'Cancelled', 'Aborted')),
       total INTEGER NOT NULL,
       placed_at INTEGER NOT NULL,
       terms TEXT NOT NULL,
       progress TEXT NOT NULL
     ) STRICT;
     CREATE INDEX shop_order_customer ON shop_order (customer, id);
     CREATE TABLE order_key (
       row INTEGER PRIMARY KEY,
       key TEXT NOT NULL UNIQUE,
       at INTEGER NOT NULL,
       fingerprint TEXT NOT NULL,
       status INTEGER NOT NULL,
       order_id TEXT,
       body TEXT NOT NULL
     ) STRICT;
     CREATE TABLE order_open (state TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     INSERT INTO order_open VALUES ('Placed', 0), ('Cancelling', 0), ('Held', 0);`,
  ],
};
