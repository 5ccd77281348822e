import { parseArgs } from 'node:util';
import { InvalidDuration, parseDuration } from './api/durations.ts';
import { REMEMBERED_MILLIS } from './journals/worker-journal.ts';
import type { LogLevel } from './runtime/logger.ts';

/** What `--log-level` takes. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[];

/** A flag that cannot be used. Its message says which and why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Reads flags that take a text, and `--help`. @throws UsageError with the usage, for what is no flag */
export function readFlags<Flag extends string>(
  args: readonly string[],
  flags: readonly Flag[],
  usage: string,
): { [flag in Flag]?: string } & { help?: boolean } {
  const options = Object.fromEntries(flags.map((flag) => [flag, { type: 'string' as const }]));
  try {
    return parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean', short: 'h' } }, strict: true })
      .values as { [flag in Flag]?: string } & { help?: boolean };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  }
}

/** A flag's duration in milliseconds. @throws UsageError */
export function durationFlag(flag: string, text: string, least = 0): number {
  try {
    const millis = parseDuration(text);
    if (millis < least) throw new UsageError(`--${flag} ${text}: at least ${least} ms`);
    return millis;
  } catch (error) {
    if (error instanceof InvalidDuration) throw new UsageError(`--${flag} ${text}: ${error.message}`);
    throw error;
  }
}

/** Not below what a retention is measured in, nor beyond what anybody means. */
const REMEMBER_LEAST = '1m';
const REMEMBER_MOST = '3650d';

/** What `--remember-orders` says, for the operator and for the redrive, which are to agree. Milliseconds. @default 35 days @throws UsageError */
export function rememberOrdersFlag(text: string | undefined): number {
  if (text === undefined) return REMEMBERED_MILLIS;
  const millis = durationFlag('remember-orders', text);
  if (millis < parseDuration(REMEMBER_LEAST) || millis > parseDuration(REMEMBER_MOST))
    throw new UsageError(`--remember-orders ${text}: from ${REMEMBER_LEAST} to ${REMEMBER_MOST}`);
  return millis;
}

/** What `--log-level` says. @throws UsageError */
export function logLevelFlag(text: string): LogLevel {
  const found = LOG_LEVELS.find((candidate) => candidate === text);
  if (found === undefined) throw new UsageError(`--log-level ${text}: one of ${LOG_LEVELS.join(', ')}`);
  return found;
}
