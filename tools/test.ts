import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Counts } from './reporter.ts';

/** Unit tests stand beside their files; what crosses packages is in test/. */
const ALL_TESTS = ['operator/src', 'services/*/src', 'boundary/src', 'cdk8s/src', 'tools/*/src', 'test', 'bench'].map(
  (folder) => `${folder}/**/*.test.ts`,
);

/**
 * Runs mocha on the files given (default: all tests; with --e2e those that need a cluster) and ends with the line `N passed, N failed`, after everything else that is written.
 * The exit status is 1 when a test or hook failed, when none ran, and when mocha did not come to its end.
 */
async function main(args: readonly string[], maySkip: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'mercato-test-'));
  const file = join(folder, 'counts.json');
  try {
    const status = await mocha(args, file, maySkip);
    const counts = readCounts(file) ?? { passed: 0, failed: 1 };
    process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
    process.exitCode = status === 0 && counts.failed === 0 && counts.passed > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function mocha(args: readonly string[], countsFile: string, maySkip: boolean): Promise<number | null> {
  const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
  const reporter = ['--reporter', path('./reporter.ts'), '--reporter-option', `counts=${countsFile}`];
  const bin = path('../node_modules/mocha/bin/mocha.js');
  const child = spawn(
    process.execPath,
    [bin, ...(maySkip ? [] : ['--forbid-pending']), '--fail-zero', ...reporter, ...args],
    {
      stdio: 'inherit',
    },
  );
  return new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
}

/** Undefined when mocha ended before its last test did, for example because a file cannot be imported. */
function readCounts(file: string): Counts | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Counts;
  } catch {
    return undefined;
  }
}

const given = process.argv.slice(2);
// On a cluster, what it cannot do is skipped, and said.
const onCluster = given[0] === '--e2e';
const files = onCluster ? given.slice(1) : given;
await main(files.length > 0 ? files : onCluster ? ['tools/e2e/src/**/*.e2e.ts'] : ALL_TESTS, onCluster);
