import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '@mercato/controlplane/ports.ts';
import type { Figure } from './figures.ts';
import { LoadGenerator, type LoadReport } from './load-generator.ts';
import { Meter } from './processes.ts';

const RATE = Number(process.env['RATE'] ?? 1_000);
const SECONDS = Number(process.env['SECONDS'] ?? 20);

/**
 * Rows that the participants write, counted in their code for an order of three lines from one warehouse: stock, movements, reservation and its lines,
 * record; events and their sequence at shipping only, which has a subscriber. Where the outside is called, rows before and after it.
 */
const ROWS = {
  inventory: { 'reserve-stock': [11], 'commit-stock': [8] },
  payment: { 'authorise-payment': [2, 2], 'capture-payment': [3, 2] },
  shipping: { 'book-shipment': [2, 4] },
};

/**
 * The path of an order with nothing on it: the processes, hops and rows of the real one, and no logic. What it takes of the processor is the least that the
 * real path can take, and by process it is the budget.
 */
export async function skeleton(): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'mercato-skeleton-'));
  const shop = new Shop(directory);
  const starting = await LoadGenerator.start(await freePort());
  try {
    const acquirer = await shop.start('acquirer', 'company');
    const carrier = await shop.start('carrier', 'company');
    const participant = (name: keyof typeof ROWS, more: Record<string, string> = {}) =>
      shop.start(name, 'participant', { ROWS: JSON.stringify(ROWS[name]), ...more });
    const INVENTORY = await participant('inventory');
    const PAYMENT = await participant('payment', { COMPANY: acquirer });
    const SHIPPING = await participant('shipping', { COMPANY: carrier });
    // Each needs the other's address: the operator's comes first, and is told later where the order service is.
    const orderPort = await freePort();
    const ORDER = `http://127.0.0.1:${orderPort}`;
    const OPERATOR = await shop.start('operator', 'operator', { INVENTORY, PAYMENT, SHIPPING, ORDER });
    const SUBSCRIBER = `http://127.0.0.1:${starting.port}`;
    await shop.start('order', 'order', { OPERATOR, SUBSCRIBER, PORT: String(orderPort) });
    const generator = await LoadGenerator.launch(
      starting,
      `127.0.0.1:${orderPort}`,
      { rate: RATE, warmup: '5s', duration: `${SECONDS}s`, connections: 64 },
      ({ second, completed, open }) => {
        if (second % 5 === 0) process.stderr.write(`${second} s: ${completed} completed, ${open} open\n`);
      },
    );
    try {
      const meter = new Meter(new Map([...shop.pids, ['load generator', generator.pid]]));
      let used = new Map<string, number>();
      const report = await generator.run();
      used = meter.perThing(report.accepted);
      return [...budget(used), ...outcome(report)];
    } finally {
      generator.stop();
    }
  } finally {
    await shop.stop();
    if (process.env['BENCH_KEEP'] === undefined) await rm(directory, { recursive: true, force: true });
  }
}

/** Processor time for an order, by process and together. */
export function budget(used: ReadonlyMap<string, number>): Figure[] {
  const sum = [...used.values()].reduce((total, each) => total + each, 0);
  return [
    ...[...used].map(([name, value]) => ({ name: `CPU an order, ${name}`, value, unit: 'us' })),
    { name: 'CPU an order, together', value: sum, unit: 'us', goal: '<= 2000' },
    { name: 'orders a second that 2 cores could bear', value: 2e6 / sum, unit: '1/s' },
  ];
}

/** Rates and latencies as the load generator saw them. */
export function outcome(report: LoadReport): Figure[] {
  const { post, completion } = report;
  return [
    { name: 'orders accepted', value: report.accepted, unit: 'orders' },
    { name: 'orders refused or unanswered', value: report.sent - report.accepted, unit: 'orders' },
    { name: 'orders accepted a second', value: report.acceptedPerSecond, unit: '1/s' },
    { name: 'orders completed a second', value: report.completedPerSecond, unit: '1/s' },
    { name: 'orders without an end', value: report.open, unit: 'orders' },
    ...percentiles('POST /orders', post),
    ...percentiles('POST /orders to completed', completion),
  ];
}

function percentiles(name: string, { p50, p90, p99, p999, max }: LoadReport['post']): Figure[] {
  return Object.entries({ p50, p90, p99, 'p99.9': p999, max }).map(([which, value]) => ({
    name: `${name}, ${which}`,
    value,
    unit: 'ms',
  }));
}

/** The skeleton's processes. */
class Shop {
  readonly #directory: string;
  readonly #children = new Map<string, ChildProcess>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  get pids(): Map<string, number> {
    return new Map([...this.#children].map(([name, { pid }]) => [name, pid ?? 0]));
  }

  /** @returns where it listens */
  async start(name: string, script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'skeleton', `${script}.ts`)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env, DATA_DIR: join(this.#directory, name) },
    });
    this.#children.set(name, child);
    for await (const line of createInterface(child.stdout))
      return (JSON.parse(line) as { listening: string }).listening;
    throw new Error(`${name} ended before it listened`);
  }

  async stop(): Promise<void> {
    for (const child of [...this.#children.values()].toReversed()) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('exit', resolve));
    }
  }
}
