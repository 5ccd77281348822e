/**
 * The table of orders, as data: tests create it from this, and so does the deployment (cdk8s), whose `Table` has this shape. No import of a client, so
 * that a model can read it. Why it looks so: docs/adr/order-on-dynamodb.md.
 */
export interface OrdersTable {
  readonly name: string;
  readonly partitionKey: KeyAttribute;
  readonly sortKey: KeyAttribute;
  readonly indexes: readonly OrdersIndex[];
  /** The attribute with the time, in seconds since 1970, after which an item goes. */
  readonly timeToLive: string;
  readonly why: string;
}

export interface KeyAttribute {
  readonly name: string;
  readonly type: 'S' | 'N';
}

export interface OrdersIndex {
  readonly name: string;
  readonly partitionKey: KeyAttribute;
  readonly sortKey: KeyAttribute;
  /** Keys only: a write that changes none of them costs the index nothing, and who reads it asks the order itself, which is never stale. */
  readonly projection: 'KEYS_ONLY';
}

export const INDEX = { customer: 'CustomerIndex', open: 'OpenIndex' } as const;

const text = (name: string): KeyAttribute => ({ name, type: 'S' });

export const ORDERS_TABLE: OrdersTable = {
  name: 'orders',
  partitionKey: text('pk'),
  sortKey: text('sk'),
  indexes: [
    // A customer's orders: their ids sort by time.
    { name: INDEX.customer, partitionKey: text('customer'), sortKey: text('id'), projection: 'KEYS_ONLY' },
    // Sparse: orders that are not over, by state and part.
    { name: INDEX.open, partitionKey: text('open'), sortKey: text('id'), projection: 'KEYS_ONLY' },
  ],
  timeToLive: 'expires',
  why: 'orders, their idempotency keys, and the events that wait to be sent',
};

/** Parts of the outbox and of the index of open orders: a part takes 1,000 writes a second, and an order makes about six in its own. */
export const SHARDS = 16;
