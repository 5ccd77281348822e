import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './cluster.ts';

/** There is no such environment; the message says which there are. */
export class NoEnvironmentError extends Error {
  override readonly name = 'NoEnvironmentError';
}

/**
 * The name of an environment, which is a folder of environments/. Asked before anything is built: Helm would take the charts' defaults for one that is
 * not there, and those are for production.
 *
 * @throws NoEnvironmentError
 */
export function environmentNamed(name: string): string {
  const known = readdirSync(join(ROOT, 'environments'));
  if (known.includes(name)) return name;
  throw new NoEnvironmentError(`there is no environment ${name}: say one of ${known.join(', ')}`);
}
