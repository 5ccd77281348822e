import { join } from 'node:path';
import { ConfigError, durationSetting, type Environment, openDatabase, runMain, SqliteStore } from '@mercato/kit';
import { GATHER } from '@mercato/kit/store/sqlite.ts';
import { type Strategy, strategies } from './domain/sourcing.ts';
import { inventoryService, migrations } from './service.ts';

/** `MERCATO_SOURCING`. @default priority */
function strategyFrom(env: Environment): Strategy {
  const text = env['MERCATO_SOURCING'] || 'priority';
  const found = strategies.find((strategy) => strategy === text);
  if (found === undefined)
    throw new ConfigError(`MERCATO_SOURCING must be one of ${strategies.join(', ')}, not "${text}"`);
  return found;
}

await runMain('inventory', async ({ config, env, logger, metrics, tracing }) => {
  const store = new SqliteStore(openDatabase(join(config.dataDir, 'inventory.sqlite')), {
    migrations,
    onCommit: metrics.onCommit,
    gather: GATHER,
    onGathered: metrics.onGathered,
  });
  const service = inventoryService({
    store,
    strategy: strategyFrom(env),
    hold: durationSetting(env, 'MERCATO_HOLD', '15m'),
    retention: config.keyRetention,
    heard: config.isHeard,
    tracing,
    onAnswer: metrics.onAnswer,
    eventSenders: config.eventSenders,
    events: {
      retention: config.inboxRetention,
      onReceived: metrics.onReceived,
      onIgnored: ({ source, id, type, namespace, saga, orderId }, why) =>
        logger.error(
          { source, id, type, order: `${namespace}/${saga}/${orderId}`, why },
          'an event could change nothing',
        ),
    },
    onError: (error, { command, key, epoch }) =>
      logger.error({ command, key, epoch, err: error }, 'a command failed inside'),
  });
  // Reported, never repaired silently: a counter that drifted is a bug, and somebody should see it before its traces are gone.
  const { balanced, differences, reservations } = await service.check();
  if (!balanced) {
    logger.error(
      {
        differences: differences.slice(0, 20),
        reservations: reservations.slice(0, 20),
        count: differences.length + reservations.length,
      },
      'counters are not what the movements say: look at GET /conservation, then POST /repair',
    );
  }
  return {
    store,
    participant: service.participant,
    routes: service.routes,
    tasks: service.tasks,
    inbox: service.inbox,
  };
});
