import { join } from 'node:path';
import { openDatabase, runMain, SqliteStore } from '@mercato/kit';
import { GATHER } from '@mercato/kit/store/sqlite.ts';
import { OutcomeUnknown } from './commands/outcome.ts';
import { processorFrom } from './config.ts';
import { migrations, paymentService } from './service.ts';

await runMain('payment', async ({ config, env, logger, metrics, tracing }) => {
  const { processor, routes } = processorFrom(env, config.dataDir);
  const store = new SqliteStore(openDatabase(join(config.dataDir, 'payment.sqlite')), {
    migrations,
    onCommit: metrics.onCommit,
    gather: GATHER,
  });
  const service = paymentService({
    store,
    processor,
    retention: config.keyRetention,
    heard: config.isHeard,
    tracing,
    onAnswer: metrics.onAnswer,
    // Never the body: it has the token.
    onError: (error, { command, key, epoch }) => {
      if (error instanceof OutcomeUnknown)
        logger.warn({ command, key, epoch, detail: error.message }, 'outcome unknown');
      else logger.error({ command, key, epoch, err: error }, 'a command failed inside');
    },
    onReconciled: ({ looked, voided, expired, settled, captured }) => {
      if (voided + expired + settled > 0) logger.info({ looked, voided, expired, settled }, 'payments reconciled');
      for (const row of captured) {
        logger.error({ authorisationId: row.authorisationId, order: row.order }, 'captured although it was voided');
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
