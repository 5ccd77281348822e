import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, createReadStream, globSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { Counts } from './reporter.ts';
import { stall } from './stalls.ts';

const within = (...folders: readonly string[]): string[] => folders.map((folder) => `${folder}/**/*.test.ts`);

/**
 * Unit tests stand beside their files; what crosses packages is in test/. Lanes run side by side, each a process of mocha, because most tests wait for a
 * server most of the time.
 */
const LANES: readonly (readonly string[])[] = [
  within('operator/src', 'bench'),
  within('services/*/src', 'tracing/src', 'test'),
  within('cdk8s/src', 'boundary/src', 'tools/*/src'),
];

/** What is tried on a cluster, one after the other: there is one cluster, and a file that ends at its first failure must not end the others. */
const onCluster = (): readonly (readonly string[])[] =>
  globSync('tools/e2e/src/**/*.e2e.ts', { cwd: fileURLToPath(new URL('..', import.meta.url)) })
    .sort()
    .map((file) => [file]);

/**
 * Runs mocha on the files given (default: all tests; with --e2e those that need a cluster) and ends with the line `N passed, N failed`, after everything
 * else that is written. The exit status is 1 when a test or hook failed, when none ran, and when a mocha did not come to its end. With MERCATO_STALLS set, each
 * mocha stands still for a second or two now and then, which shows the tests that only a quick machine passes.
 */
async function main(args: readonly string[]): Promise<void> {
  // On a cluster, what it cannot do is skipped, and said.
  const maySkip = args[0] === '--e2e';
  const files = maySkip ? args.slice(1) : args;
  const lanes = files.length > 0 ? [files] : maySkip ? onCluster() : LANES;
  const folder = mkdtempSync(join(tmpdir(), 'mercato-test-'));
  try {
    const counts = maySkip ? await oneByOne(lanes, folder) : await sideBySide(lanes, folder);
    const sum = (of: 'passed' | 'failed') => counts.reduce((total, each) => total + each[of], 0);
    // Again, since a thousand lines may stand between a failure and this one.
    for (const { failures } of counts) for (const failure of failures) process.stdout.write(`failed: ${failure}\n`);
    process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
    process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function oneByOne(lanes: readonly (readonly string[])[], folder: string): Promise<Counts[]> {
  const counts: Counts[] = [];
  for (const [i, lane] of lanes.entries())
    counts.push(await runLane(lane, join(folder, String(i)), { maySkip: true, live: true }));
  return counts;
}

/** The first lane writes as it goes, the others when it has ended. */
async function sideBySide(lanes: readonly (readonly string[])[], folder: string): Promise<Counts[]> {
  const started: ChildProcess[] = [];
  const ends = lanes.map((lane, i) =>
    runLane(lane, join(folder, String(i)), { maySkip: false, live: i === 0, started }),
  );
  const stop = new AbortController();
  const stalled = process.env['MERCATO_STALLS'] ? stall(started, stop.signal) : undefined;
  for (const [i, end] of ends.entries()) {
    await end;
    if (i > 0) await pipeline(createReadStream(join(folder, `${i}.log`)), process.stdout, { end: false });
  }
  stop.abort();
  if (stalled !== undefined) process.stdout.write(`stood still ${await stalled} times\n`);
  return Promise.all(ends);
}

/** One process of mocha. What did not come to its end, for example because a file cannot be imported, has failed once. */
async function runLane(
  files: readonly string[],
  path: string,
  { maySkip, live, started }: { readonly maySkip: boolean; readonly live: boolean; readonly started?: ChildProcess[] },
): Promise<Counts> {
  const tool = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
  const reporter = ['--reporter', tool('./reporter.ts'), '--reporter-option', `counts=${path}.json`];
  const strict = [...(maySkip ? [] : ['--forbid-pending']), '--fail-zero'];
  const log = live ? undefined : openSync(`${path}.log`, 'w');
  const child = spawn(
    process.execPath,
    [tool('../node_modules/mocha/bin/mocha.js'), ...strict, ...reporter, ...files],
    {
      stdio: ['inherit', log ?? 'inherit', log ?? 'inherit'],
    },
  );
  started?.push(child);
  const status = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (log !== undefined) closeSync(log);
  const { passed, failed, failures } = readCounts(`${path}.json`) ?? { passed: 0, failed: 1, failures: [] };
  return {
    passed,
    failed: status === 0 ? failed : Math.max(failed, 1),
    failures: status === 0 || failures.length > 0 ? failures : [`mocha ended with ${status} (${files.join(' ')})`],
  };
}

/** Undefined when mocha ended before its last test did. */
function readCounts(file: string): Counts | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Counts;
  } catch {
    return undefined;
  }
}

await main(process.argv.slice(2));
