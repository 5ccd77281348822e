import type { Context } from 'mocha';

/** A test that was left out, and why. */
export interface LeftOut {
  readonly test: string;
  readonly why: string;
}

const leftOut: LeftOut[] = [];

/** What was left out so far in this process. */
export function whatWasLeftOut(): readonly LeftOut[] {
  return leftOut;
}

/**
 * Leaves a test out, if the cluster lacks what it needs: it is noted, and told at the end. Call it first in a test or hook, with `this`.
 *
 * @param has whether the cluster has it
 * @param why what it lacks, and what would have it, for people
 */
export function needs(context: Context, has: boolean, why: string): void {
  if (has) return;
  const test = (context.currentTest ?? context.test)?.fullTitle() ?? 'a test';
  leftOut.push({ test, why });
  process.stdout.write(`      left out: ${test}: ${why}\n`);
  context.skip();
}
