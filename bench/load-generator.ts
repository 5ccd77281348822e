import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compilerFlags, makeWithGo } from '@mercato/controlplane/binaries/go.ts';
import { cacheRoot, isExecutableFile } from '@mercato/controlplane/binaries/lookup.ts';

const SOURCE = join(import.meta.dirname, 'load');

/** Latencies in milliseconds, from the moment at which an order was due. */
export interface Latencies {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What the load generator says at the end (bench/load/report.go). */
export interface LoadReport {
  readonly sent: number;
  readonly accepted: number;
  readonly acceptedPerSecond: number;
  readonly completedPerSecond: number;
  /** Answers to `POST /orders` by status; `timeout` and `unreachable` where there was none. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Announcements by kind: completed, failed, cancelled, held. */
  readonly ends: Readonly<Record<string, number>>;
  /** Accepted, and without an end. */
  readonly open: number;
  readonly repeated: number;
  readonly post: Latencies;
  readonly completion: Latencies;
}

/** Where things stand, each second. */
export interface LoadProgress {
  readonly second: number;
  readonly sent: number;
  readonly accepted: number;
  readonly completed: number;
  readonly open: number;
}

/** What is sent; see `load -help`. Durations as Go writes them: `60s`. */
export interface LoadOptions {
  readonly rate: number;
  readonly warmup?: string;
  readonly duration?: string;
  /** Instead of a duration. */
  readonly orders?: number;
  readonly patience?: string;
  readonly connections?: number;
  readonly skus?: number;
  /** Percent of the orders that have SKU-0. */
  readonly hot?: number;
  /** First part of each Idempotency-Key. */
  readonly key?: string;
  readonly tokenFile?: string;
  /** Gets a line for each accepted order. */
  readonly log?: string;
}

/**
 * The load generator, a program of its own that is not Node's. It listens for announcements from its start, and sends from {@link LoadGenerator.run} on:
 * the order service may have to be told its address first.
 */
export class LoadGenerator {
  readonly pid: number;
  /** Where it takes announcements. */
  readonly subscriber: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, subscriber: string, lines: AsyncIterator<string>) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.subscriber = subscriber;
    this.#lines = lines;
  }

  /** @param port of 127.0.0.1 for announcements; 0 takes a free one */
  static async start(port = 0): Promise<Starting> {
    const program = await built();
    return { program, port };
  }

  /** Starts the program against an order service. @param onProgress hears of each second */
  static async launch(
    { program, port }: Starting,
    target: string,
    options: LoadOptions,
    onProgress: (progress: LoadProgress) => void = () => {},
  ): Promise<LoadGenerator> {
    const child = spawn(program, ['-listen', `127.0.0.1:${port}`, '-target', target, ...flags(options)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    createInterface(child.stderr).on('line', (line) => {
      if (line.startsWith('{')) onProgress(JSON.parse(line) as LoadProgress);
      else process.stderr.write(`${line}\n`);
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const { listening } = JSON.parse(await next(lines)) as { listening: string };
    return new LoadGenerator(child, listening, lines);
  }

  /** Sends, waits for the ends, and says what was seen. @throws Error when it fails */
  async run(): Promise<LoadReport> {
    this.#child.stdin?.end('\n');
    return JSON.parse(await next(this.#lines)) as LoadReport;
  }

  /** Ends it early. Safe to repeat. */
  stop(): void {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
  }
}

/** A load generator that is built, and the port that it will listen on. */
export interface Starting {
  readonly program: string;
  readonly port: number;
}

async function next(lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error('the load generator ended without a report; it said why above');
  return value as string;
}

function flags(options: LoadOptions): string[] {
  const named: Record<keyof LoadOptions, string> = {
    rate: 'rate',
    warmup: 'warmup',
    duration: 'duration',
    orders: 'orders',
    patience: 'patience',
    connections: 'connections',
    skus: 'skus',
    hot: 'hot',
    key: 'key',
    tokenFile: 'token-file',
    log: 'log',
  };
  return Object.entries(options).flatMap(([name, value]) => [`-${named[name as keyof LoadOptions]}`, String(value)]);
}

/** Its path in the project's cache, by a hash of its sources: built when they changed, in a few seconds. @throws BuildError */
async function built(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await readdir(SOURCE)).sort()) hash.update(file).update(await readFile(join(SOURCE, file)));
  const folder = join(cacheRoot(process.env), 'tools', `load-${hash.digest('hex').slice(0, 16)}`);
  if (isExecutableFile(join(folder, 'load'))) return join(folder, 'load');
  await mkdir(folder, { recursive: true });
  await makeWithGo(
    {
      name: 'load',
      what: 'bench/load',
      cwd: SOURCE,
      env: process.env,
      otherwise: [],
      command: (work) => ({ args: ['build', ...compilerFlags(''), '-o', join(work, 'load'), '.'] }),
    },
    folder,
  );
  return join(folder, 'load');
}
