import { type Environment, integerSetting } from '@mercato/kit';
import { DEFAULT_FAULT_TIMES, parseFaultRates } from '@mercato/kit/simulator/faults.ts';
import type { CarrierOptions } from './backend.ts';
import { DEFAULT_CARRIER_TIMES } from './ledger.ts';

const DAY_MS = 86_400_000;

/** The simulated carrier's settings from the environment. Throws an error that names the variable that is wrong. */
export function carrierSettings(env: Environment): Omit<CarrierOptions, 'clock' | 'history'> {
  const ms = (name: string, fallback: number) => integerSetting(env, name, fallback, 0, 30 * DAY_MS);
  return {
    unserved: (env['UNSERVED_COUNTRIES'] ?? 'AQ').split(',').map((country) => country.trim()),
    faults: parseFaultRates(env['FAULT_SEED'] ?? '', env['FAULT_RATES'] ?? ''),
    faultTimes: {
      lateMs: ms('LATE_MS', DEFAULT_FAULT_TIMES.lateMs),
      timeoutMs: ms('TIMEOUT_MS', DEFAULT_FAULT_TIMES.timeoutMs),
    },
    times: {
      decideMs: ms('DECIDE_MS', DEFAULT_CARRIER_TIMES.decideMs),
      pickUpMs: ms('PICK_UP_MS', DEFAULT_CARRIER_TIMES.pickUpMs),
      deliverMs: ms('DELIVER_MS', DEFAULT_CARRIER_TIMES.deliverMs),
    },
  };
}
