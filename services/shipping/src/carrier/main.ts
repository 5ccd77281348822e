import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { every, systemClock } from '@mercato/kit/clock.ts';
import { fileLog } from '@mercato/kit/simulator/append-log.ts';
import { serveSimulator } from '@mercato/kit/simulator/server.ts';
import { seconds } from '@mercato/kit/units.ts';
import { SimulatedCarrier } from './backend.ts';
import type { CarrierEntry } from './ledger.ts';
import { carrierSettings } from './settings.ts';

/**
 * The simulated carrier as a program of its own. Environment: HOST (127.0.0.1), PORT (0: any), DATA_DIR (its log is carrier.jsonl there),
 * UNSERVED_COUNTRIES (`AQ,KP`), DECIDE_MS, PICK_UP_MS, DELIVER_MS, FAULT_SEED, FAULT_RATES (`timeout=0.01`), LATE_MS, TIMEOUT_MS.
 * Prints one line of JSON, `{"listening":"http://..."}`, when it is ready.
 */
async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const directory = env['DATA_DIR'] ?? './data';
  mkdirSync(directory, { recursive: true });
  const log = fileLog<CarrierEntry>(join(directory, 'carrier.jsonl'));
  const backend = new SimulatedCarrier({
    clock: systemClock,
    history: log.read(0, Number.POSITIVE_INFINITY).entries,
    ...carrierSettings(env),
  });
  const fail = (error: unknown) => {
    process.stderr.write(`${JSON.stringify({ level: 'fatal', message: `the log cannot be written: ${error}` })}\n`);
    process.exit(1);
  };
  const server = await serveSimulator({
    backend,
    log,
    port: Number(env['PORT'] ?? 0),
    host: env['HOST'] || '127.0.0.1',
    onFailure: fail,
  });
  const stop = every(systemClock, seconds(1), () => log.append(backend.tick().work().entries), fail);
  process.stdout.write(`${JSON.stringify({ listening: server.url })}\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      stop();
      void server.close().then(() => process.exit(0));
    });
  }
}

await main(process.env);
