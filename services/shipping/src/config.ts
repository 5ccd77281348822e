import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type Environment, integerSetting, neededSetting, type Route, systemClock } from '@mercato/kit';
import { httpExchange } from '@mercato/kit/exchange.ts';
import { fileLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import { logRoute } from '@mercato/kit/simulator/log-route.ts';
import { easypost, parseOrigins } from './adapters/easypost.ts';
import { simulatedCarrier } from './adapters/simulated-carrier.ts';
import { SimulatedCarrier } from './carrier/backend.ts';
import type { CarrierEntry } from './carrier/ledger.ts';
import { carrierSettings } from './carrier/settings.ts';
import type { Carrier } from './ports/carrier.ts';

/** A carrier and what comes with it. */
export interface ChosenCarrier {
  readonly carrier: Carrier;
  /** The log of an embedded simulator, served beside the administration. */
  readonly routes: readonly Route[];
}

/**
 * The carrier that the environment asks for: `CARRIER` is `embedded` (the simulator in this process, its log in
 * DATA_DIR/carrier.jsonl), `simulated` (the simulator at CARRIER_URL) or `easypost` (EASYPOST_URL, EASYPOST_KEY_FILE,
 * EASYPOST_ORIGINS_FILE). CARRIER_TIMEOUT_MS bounds each call. Throws a ConfigError that names the variable that is missing or wrong.
 */
export function carrierFrom(env: Environment, dataDir: string): ChosenCarrier {
  const timeoutMs = integerSetting(env, 'CARRIER_TIMEOUT_MS', 2_000, 10, 60_000);
  const kind = env['CARRIER'] || (env['CARRIER_URL'] ? 'simulated' : '');
  switch (kind) {
    case 'embedded': {
      mkdirSync(dataDir, { recursive: true });
      const log = fileLog<CarrierEntry>(join(dataDir, 'carrier.jsonl'));
      const history = log.read(0, Number.POSITIVE_INFINITY).entries;
      const backend = new SimulatedCarrier({ clock: systemClock, history, ...carrierSettings(env) });
      const exchange = inProcessExchange({ backend, log, clock: systemClock, timeoutMs });
      return { carrier: simulatedCarrier(exchange), routes: [logRoute('/carrier/log', log)] };
    }
    case 'simulated': {
      const baseUrl = needed(env, 'CARRIER_URL');
      return { carrier: simulatedCarrier(httpExchange({ baseUrl, timeoutMs }).exchange), routes: [] };
    }
    case 'easypost': {
      const apiKey = readFileSync(needed(env, 'EASYPOST_KEY_FILE'), 'utf8').trim();
      const origins = parseOrigins(readFileSync(needed(env, 'EASYPOST_ORIGINS_FILE'), 'utf8'));
      const baseUrl = env['EASYPOST_URL'] || 'https://api.easypost.com';
      return {
        carrier: easypost({ exchange: httpExchange({ baseUrl, timeoutMs }).exchange, apiKey, origins }),
        routes: [],
      };
    }
    default:
      throw new ConfigError(`CARRIER must be embedded, simulated or easypost, not "${kind}"`);
  }
}

const needed = (env: Environment, name: string): string =>
  neededSetting(env, name, `CARRIER=${env['CARRIER'] || 'simulated'} needs it`);
