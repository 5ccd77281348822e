import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Intake } from './intake/collect.ts';
import { readOrders } from './intake/csv.ts';
import { Phases } from './local/phases.ts';
import { type Journal, NAMESPACE } from './local/programs.ts';
import { localVenue } from './local/reach.ts';
import { startTemporaryShop, type TemporaryShop } from './local/shop.ts';
import { type DayOptions, playDay } from './play/day.ts';
import { atAddresses, type Examples, openShop, readExamples } from './play/examples.ts';
import { Administration } from './play/observe.ts';
import { orderBook, planned } from './play/orderbook.ts';
import { type Outcome, summaryOf } from './play/summary.ts';
import { millis, type Screen } from './play/table.ts';

/** What `make demo` was asked for. */
export interface DemoOptions {
  /** A CSV file of orders. @default the project's own order book */
  readonly ordersFile?: string;
  /** From which order book, fates and scarce goods follow. @default a new one, which is printed */
  readonly seed?: string;
  /** Orders of the project's own book. @default 400 */
  readonly count?: number;
  /** How long the day takes, in milliseconds, if the machine keeps up. @default 15 s, and longer for a long file */
  readonly dayMs?: number;
  /** Where runs live. With sqlite every order is placed with the order service. @default kubernetes */
  readonly journal?: Journal;
  readonly screen: Screen;
}

/** The only operator there is has nobody to give way to, and a machine that is too busy to renew a lease in time shall not end the play. */
const OPERATOR_FLAGS = { 'lease-duration': '2m' };
const DEFAULT_COUNT = 400;
const LEAST_DAY_MS = 15_000;
/** Orders a second that leave a small machine room to show what it does. */
const PACE = 40;

/**
 * Starts a shop, plays a day of orders through it, says what came of it, and leaves nothing behind.
 * @throws ComponentError, ShopBroke, OrdersFileError
 */
export async function demo(options: DemoOptions): Promise<Outcome> {
  const { screen, journal = 'kubernetes' } = options;
  const say = (line: string) => void screen.write(`${line}\n`);
  const seed = options.seed ?? randomBytes(4).toString('hex');
  const examples = await readExamples();
  const day = await ordersOf(options, seed, examples);
  const count = day.orders.length + (day.before?.length ?? 0);
  say(titleOf(options, count, day.intake, seed));

  const phases = new Phases(say);
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'mercato-demo-')));
  const shop = await startTemporaryShop(folder, phases, { onProgress: say }, OPERATOR_FLAGS, journal);
  try {
    await phases.run('examples', () => open(shop, examples));
    say(`playing after ${millis(phases.elapsedMs)}`);
    const dayMs = options.dayMs ?? Math.max(LEAST_DAY_MS, (count / PACE) * 1000);
    const { warehouses } = examples;
    const venue = localVenue(shop);
    const how = { journal, placed: placedOf(options) };
    const outcome = await playDay({ venue, namespace: NAMESPACE, seed, ...day, warehouses, dayMs, screen, ...how });
    say(`\n${summaryOf(outcome).join('\n')}`);
    return outcome;
  } finally {
    await end(shop);
  }
}

async function end(shop: TemporaryShop): Promise<void> {
  await shop.client.transport.close();
  await shop.stop();
}

async function open(shop: TemporaryShop, examples: Examples): Promise<void> {
  const { client, reach } = localVenue(shop);
  const admin = new Administration(reach);
  try {
    await openShop(client, admin, atAddresses(examples, reach), NAMESPACE);
  } finally {
    await admin.close();
  }
}

/** What is played: a file's orders, or the project's own book after the orders of examples/, whose goods examples/ brings in. */
async function ordersOf(
  options: DemoOptions,
  seed: string,
  examples: Examples,
): Promise<Pick<DayOptions, 'orders' | 'before' | 'intake' | 'scarce'>> {
  if (options.ordersFile === undefined) {
    const orders = orderBook(seed, options.count ?? DEFAULT_COUNT);
    const atMs = orders[0]?.atMs ?? 0;
    return { orders, before: examples.orders.map((order) => ({ ...order, atMs })) };
  }
  const intake = await readOrders(createReadStream(options.ordersFile));
  // An order of a real file has twenty lines, and each of them may be the one that is missing.
  return { orders: planned(seed, intake.orders), intake, scarce: 0.01 };
}

/** Half of the project's own book is placed as customers do it, and half applied as SREs do it. A file's invoices keep their numbers as order ids, where they can. */
function placedOf({ journal, ordersFile }: DemoOptions): number {
  if (journal === 'sqlite') return 1;
  return ordersFile === undefined ? 0.5 : 0;
}

function titleOf(options: DemoOptions, count: number, intake: Intake | undefined, seed: string): string {
  const replay = `seed ${seed}`;
  if (options.ordersFile === undefined) return `a day of ${count} orders (${replay})`;
  const refused = intake?.refused.length ?? 0;
  return `${basename(options.ordersFile)}: ${count} orders, ${refused} lines that are in none (${replay})`;
}
