import type { Context } from 'mocha';

/**
 * Leaves a test out, if the cluster lacks what it needs, and says so. Call it first in a test or hook, with `this`.
 *
 * @param has whether the cluster has it
 * @param why what it would need, for people
 */
export function needs(context: Context, has: boolean, why: string): void {
  if (has) return;
  process.stdout.write(`      left out: ${why}\n`);
  context.skip();
}
