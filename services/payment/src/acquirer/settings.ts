import { ConfigError, type Environment, integerSetting } from '@mercato/kit';
import { DEFAULT_FAULT_TIMES, parseFaultRates } from '@mercato/kit/simulator/faults.ts';
import type { AcquirerOptions } from './backend.ts';

const DAY_MS = 86_400_000;

/** The simulated acquirer's settings from the environment. Throws an error that names the variable that is wrong. */
export function acquirerSettings(env: Environment): Omit<AcquirerOptions, 'clock' | 'history'> {
  const ms = (name: string, fallback: number) => integerSetting(env, name, fallback, 0, DAY_MS);
  const declineRate = Number(env['DECLINE_RATE'] || 0);
  if (!(declineRate >= 0 && declineRate <= 1)) throw new ConfigError('DECLINE_RATE must be a number from 0 to 1');
  return {
    faults: parseFaultRates(env['FAULT_SEED'] ?? '', env['FAULT_RATES'] ?? ''),
    declineRate,
    times: {
      lateMs: ms('LATE_MS', DEFAULT_FAULT_TIMES.lateMs),
      timeoutMs: ms('TIMEOUT_MS', DEFAULT_FAULT_TIMES.timeoutMs),
    },
  };
}
