import { join } from 'node:path';
import { openDatabase, runMain, SqliteStore } from '@mercato/kit';
import { GATHER } from '@mercato/kit/store/sqlite.ts';
import { migrations, SqliteOrders } from './adapters/sqlite/orders.ts';
import { orderConfig } from './config.ts';
import { orderService } from './service.ts';

await runMain('order', async ({ config, env, logger, metrics, tracing }) => {
  const own = orderConfig(env, config);
  const { onCommit } = metrics;
  const store = new SqliteStore(openDatabase(join(config.dataDir, 'order.sqlite')), {
    migrations,
    onCommit,
    gather: GATHER,
  });
  const orders = new SqliteOrders(store, own.shop);
  const service = orderService({
    orders,
    shop: own.shop,
    tokens: config.tokens,
    metrics,
    tracing,
    admission: { ceiling: config.maxInFlight, target: own.target },
    streams: { maxStreams: own.maxStreams },
    ...(own.currencies === undefined ? {} : { currencies: own.currencies }),
    eventSenders: config.eventSenders,
    keyRetention: config.keyRetention,
    orderRetention: own.orderRetention,
    onIgnored: ({ id, type, orderId }, why) =>
      logger.error({ id, type, orderId, why }, 'an event could change nothing'),
    onError: (error) => logger.error({ err: error }, 'a task of the order service failed'),
  });
  return {
    ...service,
    outbox: orders.outbox,
    subscribers: own.subscribers,
    relay: { batch: 500 },
  };
});
