import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { cacheRoot } from '@mercato/controlplane/binaries/lookup.ts';
import { endComponent, startComponent, waitUntilReady } from '@mercato/controlplane/component.ts';
import { freePort, isFree } from '@mercato/controlplane/ports.ts';
import { ensureTool } from '@mercato/controlplane/tools.ts';
import { startWatchdog } from '@mercato/controlplane/watchdog.ts';
import { BenchEngine } from './engine.ts';
import type { Figure } from './figures.ts';
import { kubernetesJournal } from './kubernetes-journal.ts';

const SOURCE = join(import.meta.dirname, 'temporal');
/** So many workflows, or runs, under way at once: what each side is fastest with. */
const WIDTH = { temporal: 100, engine: 1_000 };
const COUNTS = {
  file: Number(process.env['BENCH_WORKFLOWS'] ?? 600),
  memory: Number(process.env['BENCH_WORKFLOWS'] ?? 1_500),
  engine: Number(process.env['BENCH_ENGINE_RUNS'] ?? 30_000),
};

/**
 * The shop's saga with steps that do nothing: as a Temporal workflow with compensations and activities, on Temporal's development server; and here, with
 * participants over HTTP. Durable on both sides: the server's database is a file, the journal is SQLite with synchronous=FULL, or etcd.
 */
export async function temporal(): Promise<Figure[]> {
  const program = await ensureTool('temporal', { onProgress: (line) => process.stderr.write(`${line}\n`) });
  const sdk = await installSdk();
  const file = await workflowsPerSecond(program, sdk, 'file');
  const memory = await workflowsPerSecond(program, sdk, 'memory');
  const engine = await runsPerSecond();
  const raced = (await kubernetesJournal()).find(({ name }) => name === 'operator, kubernetes journal');
  const kubernetes = raced?.value ?? Number.NaN;
  return [
    { name: "Temporal's development server, database in a file", value: file, unit: 'runs/s' },
    { name: "Temporal's development server, database in memory", value: memory, unit: 'runs/s' },
    { name: 'operator, sqlite journal', value: engine, unit: 'runs/s' },
    { name: 'operator, kubernetes journal', value: kubernetes, unit: 'runs/s' },
    { name: 'sqlite journal over Temporal in a file', value: engine / file, unit: 'ratio', goal: '>= 50' },
    { name: 'kubernetes journal over Temporal in a file', value: kubernetes / file, unit: 'ratio', goal: '>= 4' },
  ];
}

async function runsPerSecond(): Promise<number> {
  const engine = await BenchEngine.start();
  try {
    await engine.play('warm', COUNTS.engine / 10, WIDTH.engine);
    return await engine.play('order', COUNTS.engine, WIDTH.engine);
  } finally {
    await engine.stop();
  }
}

/** Completed workflows per second of a worker and a client, each a process of its own, as the participants and the load are on the other side. */
async function workflowsPerSecond(program: string, sdk: string, kept: 'file' | 'memory'): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'mercato-temporal-'));
  const watchdog = startWatchdog(directory);
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const database = kept === 'file' ? ['--db-filename', join(directory, 'temporal.db')] : [];
  const flags = [
    'server',
    'start-dev',
    '--headless',
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--log-level',
    'error',
  ];
  const log = join(directory, 'server.log');
  const server = await startComponent('temporal', program, [...flags, ...database], log);
  watchdog.guard([server.pid]);
  let worker: ChildProcessByStdio<Writable, Readable, null> | undefined;
  try {
    await waitUntilReady(server, async () => !(await isFree(port)), 60_000);
    worker = spawn(process.execPath, [join(sdk, 'worker.js'), address], { stdio: ['pipe', 'pipe', 'inherit'] });
    watchdog.guard([server.pid, worker.pid ?? 0]);
    await firstLine(worker.stdout);
    const count = String(COUNTS[kept]);
    const args = [join(sdk, 'drive.js'), address, '200', count, String(WIDTH.temporal)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { completed, seconds } = JSON.parse(stdout) as { completed: number; seconds: number };
    process.stderr.write(`Temporal, ${kept}: ${(completed / seconds).toFixed(1)} workflows/s\n`);
    return completed / seconds;
  } finally {
    if (worker !== undefined) await ended(worker);
    await endComponent(server, 10_000);
    watchdog.dismiss();
    await rm(directory, { recursive: true, force: true });
  }
}

async function ended(worker: ChildProcessByStdio<Writable, Readable, null>): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const exit = once(worker, 'exit');
  worker.kill('SIGTERM');
  await exit;
}

async function firstLine(stream: NodeJS.ReadableStream): Promise<void> {
  for await (const _line of createInterface(stream)) return;
  throw new Error('the Temporal worker ended before it took work; it said why above');
}

/** Temporal's SDK with the workflow beside it, in the project's cache: nobody who does not measure it has to install it. @returns its folder */
async function installSdk(): Promise<string> {
  const files = await readdir(SOURCE);
  const hash = createHash('sha256');
  for (const file of PACKAGE_FILES) hash.update(await readFile(join(SOURCE, file)));
  const folder = join(cacheRoot(process.env), 'tools', `temporal-sdk-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(folder)) await install(folder);
  for (const file of files) await copyFile(join(SOURCE, file), join(folder, file));
  return folder;
}

const PACKAGE_FILES = ['package.json', 'package-lock.json'];

/** Whole or not at all. */
async function install(folder: string): Promise<void> {
  process.stderr.write("installing Temporal's SDK\n");
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(`${folder}.`);
  try {
    for (const file of PACKAGE_FILES) await copyFile(join(SOURCE, file), join(work, file));
    // Not ci: a lock file that was made where a registry has one platform only lacks the optional packages of others.
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    // What npm finds first must be the Node.js that it belongs to.
    const path = (process.env['PATH'] ?? '').split(delimiter);
    const own = path.filter((each) => !each.endsWith(join('node_modules', '.bin'))).join(delimiter);
    await promisify(execFile)('npm', args, { cwd: work, env: { ...process.env, PATH: own } });
    await rename(work, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
