import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@mercato/kit/clock.ts';
import { fileLog } from '@mercato/kit/simulator/append-log.ts';
import { serveSimulator } from '@mercato/kit/simulator/server.ts';
import { SimulatedAcquirer } from './backend.ts';
import type { AcquirerEntry } from './ledger.ts';
import { acquirerSettings } from './settings.ts';

/**
 * The simulated acquirer as a program of its own. Environment: HOST (127.0.0.1), PORT (0: any), DATA_DIR (its log is acquirer.jsonl there),
 * FAULT_SEED, FAULT_RATES (`timeout=0.01,error=0.02`), DECLINE_RATE (0 to 1), LATE_MS, TIMEOUT_MS.
 * Prints one line of JSON, `{"listening":"http://..."}`, when it is ready.
 */
async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const directory = env['DATA_DIR'] ?? './data';
  mkdirSync(directory, { recursive: true });
  const log = fileLog<AcquirerEntry>(join(directory, 'acquirer.jsonl'));
  const backend = new SimulatedAcquirer({
    clock: systemClock,
    history: log.read(0, Number.POSITIVE_INFINITY).entries,
    ...acquirerSettings(env),
  });
  const server = await serveSimulator({
    backend,
    log,
    port: Number(env['PORT'] ?? 0),
    host: env['HOST'] || '127.0.0.1',
    onFailure: (error) => {
      process.stderr.write(`${JSON.stringify({ level: 'fatal', message: `the log cannot be written: ${error}` })}\n`);
      process.exit(1);
    },
  });
  process.stdout.write(`${JSON.stringify({ listening: server.url })}\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void server.close().then(() => process.exit(0)));
  }
}

await main(process.env);
