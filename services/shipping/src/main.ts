import { join } from 'node:path';
import { openDatabase, runMain, SqliteStore } from '@mercato/kit';
import { GATHER } from '@mercato/kit/store/sqlite.ts';
import { OutcomeUnknown } from './commands/means.ts';
import { carrierFrom } from './config.ts';
import { migrations, shippingService } from './service.ts';

await runMain('shipping', async ({ config, env, logger, metrics, tracing }) => {
  const { carrier, routes } = carrierFrom(env, config.dataDir);
  const store = new SqliteStore(openDatabase(join(config.dataDir, 'shipping.sqlite')), {
    migrations,
    onCommit: metrics.onCommit,
    gather: GATHER,
  });
  const service = shippingService({
    store,
    carrier,
    retention: config.keyRetention,
    heard: config.isHeard,
    tracing,
    onAnswer: metrics.onAnswer,
    // Never the body: it has the address.
    onError: (error, { command, key, epoch }) => {
      if (error instanceof OutcomeUnknown)
        logger.warn({ command, key, epoch, detail: error.message }, 'outcome unknown');
      else logger.error({ command, key, epoch, err: error }, 'a command failed inside');
    },
    onTracked: ({ looked, cancelled, moved, escaped }) => {
      if (cancelled + moved > 0) logger.info({ looked, cancelled, moved }, 'bookings tracked');
      for (const row of escaped) {
        logger.error(
          { bookingId: row.bookingId, order: row.order },
          'picked up although it was cancelled: ask for a return',
        );
      }
    },
  });
  return {
    store,
    participant: service.participant,
    routes: [...service.routes, ...routes],
    tasks: service.tasks,
  };
});
