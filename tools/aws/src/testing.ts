import { startDynamoDbLocal } from './dynamodb-local.ts';
import { startElasticMq } from './elasticmq.ts';
import { startMiniStack } from './ministack.ts';
import type { Emulator } from './server.ts';

const started: Promise<Emulator>[] = [];

/** Root hook of the mocha process that imports this file. Elsewhere (a bench, a script) the watchdog ends the processes. */
if (typeof after === 'function') {
  after('stop the shared emulators of AWS', async function () {
    this.timeout(30_000);
    await Promise.all(started.map(async (emulator) => (await emulator).close()));
  });
}

/**
 * The one emulator of its kind that the tests of a mocha process share, started when first asked for. Tests keep apart by the names of their queues and
 * tables; one that kills an emulator starts its own.
 *
 * Give the hook that calls it at least 60 s: the first caller waits for the start, which takes long on a busy machine, and on a new one for the
 * installation, which `make emulators` does beforehand.
 */
export const sharedMiniStack = once(startMiniStack);
/** See {@link sharedMiniStack}. */
export const sharedDynamoDbLocal = once(startDynamoDbLocal);
/** See {@link sharedMiniStack}. */
export const sharedElasticMq = once(startElasticMq);

function once(start: () => Promise<Emulator>): () => Promise<Emulator> {
  let shared: Promise<Emulator> | undefined;
  return () => {
    if (shared === undefined) {
      shared = start();
      started.push(shared);
    }
    return shared;
  };
}
