import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type Environment, integerSetting, neededSetting, type Route, systemClock } from '@mercato/kit';
import { httpExchange } from '@mercato/kit/exchange.ts';
import { fileLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import { logRoute } from '@mercato/kit/simulator/log-route.ts';
import { SimulatedAcquirer } from './acquirer/backend.ts';
import type { AcquirerEntry } from './acquirer/ledger.ts';
import { acquirerSettings } from './acquirer/settings.ts';
import { simulatedAcquirer } from './adapters/simulated-acquirer.ts';
import { stripe } from './adapters/stripe.ts';
import type { PaymentProcessor } from './ports/processor.ts';

/** A processor and what comes with it. */
export interface ChosenProcessor {
  readonly processor: PaymentProcessor;
  /** The log of an embedded simulator, served beside the administration. */
  readonly routes: readonly Route[];
}

/**
 * The processor that the environment asks for: `ACQUIRER` is `embedded` (the simulator in this process, its log in
 * DATA_DIR/acquirer.jsonl), `simulated` (the simulator at ACQUIRER_URL) or `stripe` (STRIPE_URL, STRIPE_KEY_FILE).
 * PROCESSOR_TIMEOUT_MS bounds each call. Throws a ConfigError that names the variable that is missing or wrong.
 */
export function processorFrom(env: Environment, dataDir: string): ChosenProcessor {
  const timeoutMs = integerSetting(env, 'PROCESSOR_TIMEOUT_MS', 2_000, 10, 60_000);
  const kind = env['ACQUIRER'] || (env['ACQUIRER_URL'] ? 'simulated' : '');
  switch (kind) {
    case 'embedded':
      return embedded(env, dataDir, timeoutMs);
    case 'simulated': {
      const baseUrl = needed(env, 'ACQUIRER_URL');
      return { processor: simulatedAcquirer(httpExchange({ baseUrl, timeoutMs }).exchange), routes: [] };
    }
    case 'stripe': {
      const secretKey = readFileSync(needed(env, 'STRIPE_KEY_FILE'), 'utf8').trim();
      const baseUrl = env['STRIPE_URL'] || 'https://api.stripe.com';
      return { processor: stripe({ exchange: httpExchange({ baseUrl, timeoutMs }).exchange, secretKey }), routes: [] };
    }
    default:
      throw new ConfigError(`ACQUIRER must be embedded, simulated or stripe, not "${kind}"`);
  }
}

function embedded(env: Environment, dataDir: string, timeoutMs: number): ChosenProcessor {
  mkdirSync(dataDir, { recursive: true });
  const log = fileLog<AcquirerEntry>(join(dataDir, 'acquirer.jsonl'));
  const backend = new SimulatedAcquirer({
    clock: systemClock,
    history: log.read(0, Number.POSITIVE_INFINITY).entries,
    ...acquirerSettings(env),
  });
  const exchange = inProcessExchange({ backend, log, clock: systemClock, timeoutMs });
  return { processor: simulatedAcquirer(exchange), routes: [logRoute('/acquirer/log', log)] };
}

const needed = (env: Environment, name: string): string =>
  neededSetting(env, name, `ACQUIRER=${env['ACQUIRER'] || 'simulated'} needs it`);
