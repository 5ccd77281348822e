import { runMain } from '@mercato/kit';
import { openOrders } from './adapters/open.ts';
import { orderConfig } from './config.ts';
import { orderService } from './service.ts';

await runMain('order', async ({ config, env, logger, metrics, tracing }) => {
  const own = orderConfig(env, config);
  const { orders, ...events } = await openOrders(own, { config, logger, metrics });
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
    ...events,
  };
});
