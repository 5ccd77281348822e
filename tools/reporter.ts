import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

/** Counts of one mocha run, as the reporter leaves them for tools/test.ts. */
export interface Counts {
  readonly passed: number;
  /** Tests and hooks that failed; a pending test is one, because mocha runs with --forbid-pending. */
  readonly failed: number;
  /** What failed, each in a line: its title, and how its error begins. */
  readonly failures: readonly string[];
}

const LONGEST_ERROR = 300;

/**
 * Mocha's spec reporter, which also writes the counts to the file of the reporter option `counts` at the end of the run.
 */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { counts: file } = options.reporterOptions as { readonly counts: string };
    const skipped: string[] = [];
    const failures: string[] = [];
    runner.on(Mocha.Runner.constants.EVENT_TEST_PENDING, (test) => skipped.push(test.fullTitle()));
    runner.on(Mocha.Runner.constants.EVENT_TEST_FAIL, (test, error) =>
      failures.push(`${test.fullTitle()}: ${String(error.message).replace(/\s+/g, ' ').slice(0, LONGEST_ERROR)}`),
    );
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      if (skipped.length > 0) process.stdout.write(`skipped, since this cluster cannot: ${skipped.join('; ')}\n`);
      const counts: Counts = { passed: this.stats.passes, failed: this.stats.failures, failures };
      writeFileSync(file, JSON.stringify(counts));
    });
  }
}
