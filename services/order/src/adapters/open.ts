import { join } from 'node:path';
import {
  type MainPorts,
  type OutboxSource,
  openDatabase,
  type RelayOptions,
  SqliteStore,
  type Subscriber,
} from '@mercato/kit';
import { GATHER } from '@mercato/kit/store/sqlite.ts';
import type { OrderConfig } from '../config.ts';
import { customerEventTypes } from '../domain/events.ts';
import type { Orders } from '../ports/orders.ts';
import { migrations, SqliteOrders } from './sqlite/orders.ts';

/** Where orders are kept, and who is told of them. */
export interface OpenedOrders {
  readonly orders: Orders;
  readonly outbox: OutboxSource;
  readonly subscribers: readonly Subscriber[];
  readonly relay: Pick<RelayOptions, 'batch'>;
}

/** Opens what the settings say. Clients of AWS are loaded only where they are used: they take 20 MB each, and an installation may do without. */
export async function openOrders(
  own: OrderConfig,
  { config, logger, metrics }: Pick<MainPorts, 'config' | 'logger' | 'metrics'>,
): Promise<OpenedOrders> {
  const subscribers = [...own.subscribers, ...(await onAws(own, config.eventBus))];
  if (own.store.kind === 'sqlite') {
    const { onCommit } = metrics;
    const database = openDatabase(join(config.dataDir, 'order.sqlite'));
    const orders = new SqliteOrders(new SqliteStore(database, { migrations, onCommit, gather: GATHER }), own.shop);
    return { orders, outbox: orders.outbox, subscribers, relay: { batch: 500 } };
  }
  const { DynamoOrders } = await import('./dynamodb/orders.ts');
  const { connect } = await import('./dynamodb/calls.ts');
  const orders = new DynamoOrders({
    connection: connect(),
    table: own.store.table,
    shop: own.shop,
    subscribers,
    keyRetention: config.keyRetention,
    orderRetention: own.orderRetention,
    onError: (error) =>
      logger.warn({ err: error }, 'which replica relays what could not be settled; it is tried again'),
  });
  return { orders, outbox: orders.outbox, subscribers, relay: { batch: 200 } };
}

/** The topic gets what customers are told, to be filtered by type and state. */
async function onAws({ topic }: OrderConfig, bus: string | undefined): Promise<readonly Subscriber[]> {
  if (bus === undefined && topic === undefined) return [];
  const { busSubscriber, topicSubscriber } = await import('@mercato/kit/events/subscribers.ts');
  return [
    // Orders reach the operator by it too: with a bus there is no other way (orderConfig).
    ...(bus === undefined ? [] : [busSubscriber(bus)]),
    ...(topic === undefined
      ? []
      : [topicSubscriber(topic, customerEventTypes, ({ type, data }) => ({ type, state: String(data['state']) }))]),
  ];
}
