import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { ConfigError, loadConfig } from '@mercato/operator/kube/config.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import type { Announcement } from './conservation.ts';
import { JOURNALS, type Journal } from './local/programs.ts';
import { playDay, SAGA } from './play/day.ts';
import { openShop, readExamples } from './play/examples.ts';
import { Administration } from './play/observe.ts';
import { cancelledOrders, heldOrders, orderBook } from './play/orderbook.ts';
import { type Asked, type Reach, requestedTokens } from './play/reach.ts';
import { AnnouncementSubscriber } from './play/subscriber.ts';
import { type Outcome, summaryOf } from './play/summary.ts';

const USAGE = `usage: node tools/demo/src/incluster.ts [OPTION]...

Plays orders through the shop of the cluster that it runs in, waits until all is quiet, and checks that nothing was lost.
Its last line is what came of it, as JSON; the status is 0 when nothing was lost, and all that was accepted came to an end.

  --orders N             how many (default: 200)
  --seconds N            how long the day takes, in seconds (default: 20)
  --seed TEXT            from which the orders follow (default: a new one, which is printed)
  --mark TEXT            what their ids and SKUs begin with: up to 8 lower-case letters and digits, another for each
                         play on the same stores (default: a new one)
  --placed PERCENT       how many of them are placed with the order service, as customers do; the others are applied (default: 50)
  --held N               how many more are ordered that end up held: picked up, then not paid (default: 0)
  --cancelled N          how many more are placed with the order service and cancelled at once (default: 0)
  --listen H:P           where to hear what customers are told, as a subscriber of the order service; with it, all who are told are
                         compared with what became of their orders (default: nobody listens)
  --announcer SUBJECT    whose tokens are believed there (default: system:serviceaccount:mercato-shop:order)
  --journal NAME         where runs live, kubernetes or sqlite; with sqlite --placed must be 100 (default: kubernetes)
  --namespace NAME       where the sagas are (default: mercato-shop)
  --token-account NS/N   whose tokens are shown to inventory (default: mercato-e2e/mercato-player)
  --patience SECONDS     how long what does not answer is asked again (default: 120)
  --participants FILE    who carries out commands (default: examples/in-cluster/participants.yaml)

Where the services answer: INVENTORY_URL, PAYMENT_URL, SHIPPING_URL, ORDER_URL, ACQUIRER_URL, CARRIER_URL
`;

/** Where the charts put what a play asks. */
const ADDRESSES: Readonly<Record<Asked, string>> = {
  inventory: 'http://inventory.mercato-shop.svc:8080',
  payment: 'http://payment.mercato-card.svc:8080',
  shipping: 'http://shipping.mercato-shop.svc:8080',
  order: 'http://order.mercato-shop.svc:8080',
  acquirer: 'http://acquirer.mercato-simulators.svc:8080',
  carrier: 'http://carrier.mercato-simulators.svc:8080',
};

/** What a program that reads the last line learns. */
export interface Result {
  readonly seed: string;
  readonly mark: string;
  readonly accepted: number;
  /** Of these, placed with the order service. */
  readonly placed: number;
  /** What the order service told of those that are held, failed and so on, by the phase of their runs. */
  readonly told: Readonly<Record<string, number>>;
  /** What a subscriber heard, by type, without repetitions and others' orders. Empty where nobody listened. */
  readonly announced: Readonly<Record<string, number>>;
  readonly refused: number;
  readonly settled: number;
  readonly phases: Outcome['tally']['phases'];
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly tookMs: number;
  readonly violations: Outcome['violations'];
}

/** Longer than services take to finish what they owe after a restart; what is lost is lost, however long one looks. */
const MOST_SETTLE_MS = 60_000;

class UsageError extends Error {
  override readonly name = 'UsageError';
}

interface Options {
  readonly orders: number;
  readonly placed: number;
  readonly held: number;
  readonly cancelled: number;
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  readonly announcer: string;
  readonly journal: Journal;
  readonly seconds: number;
  readonly seed: string;
  readonly mark: string;
  readonly namespace: string;
  readonly account: { readonly namespace: string; readonly name: string };
  readonly patienceMs: number;
  readonly participants: string;
}

async function main(args: readonly string[]): Promise<boolean> {
  const options = read(args);
  const { namespace, seed, mark, patienceMs } = options;
  const config = loadConfig();
  const client = new KubeClient(createTransport(config, { userAgent: 'mercato-player' }), {
    fieldManager: 'mercato-player',
  });
  const reach = reachOf(client, options);
  const screen = { write: (text: string) => void process.stdout.write(text) };
  const say = (line: string) => screen.write(`${line}\n`);
  screen.write(`playing ${options.orders} orders in ${namespace} (seed ${seed}, mark ${mark})\n`);
  const { listen, announcer } = options;
  const subscriber =
    listen && (await AnnouncementSubscriber.listen({ ...listen, announcer, transport: client.transport, say }));
  try {
    const examples = await readExamples(options.participants);
    const admin = new Administration(reach);
    await openShop(client, admin, examples, namespace);
    await admin.close();
    const outcome = await playDay({
      venue: { client, reach },
      namespace,
      seed,
      mark,
      orders: [
        ...heldOrders(options.held, mark),
        ...cancelledOrders(options.cancelled, mark),
        ...orderBook(seed, options.orders, mark),
      ],
      placed: options.placed / 100,
      journal: options.journal,
      ...(subscriber === undefined ? {} : { announced: () => subscriber.announced }),
      warehouses: examples.warehouses,
      dayMs: options.seconds * 1000,
      screen,
      // What was killed comes back, with the work that waited for it.
      settleMs: Math.min(patienceMs, MOST_SETTLE_MS),
    });
    screen.write(`\n${summaryOf(outcome).join('\n')}\n`);
    screen.write(`${JSON.stringify(resultOf(outcome, options, subscriber?.announced ?? []))}\n`);
    const { accepted, settled, refused } = outcome.tally;
    return outcome.violations.length === 0 && settled === accepted && refused === 0;
  } finally {
    await subscriber?.close();
    await client.transport.close();
  }
}

function reachOf(client: KubeClient, { account, patienceMs }: Options): Reach {
  return {
    urlOf: (name) => process.env[`${name.toUpperCase()}_URL`] ?? ADDRESSES[name],
    tokenFor: requestedTokens(client, account),
    patienceMs,
  };
}

function resultOf(
  { tally, tookMs, violations, played }: Outcome,
  { seed, mark, namespace }: Options,
  announced: readonly Announcement[],
): Result {
  const { accepted, refused, settled, phases, p50Ms, p99Ms } = tally;
  const heard = [...played].flatMap(({ told }) => (told === undefined ? [] : [told.phase]));
  const own = new Set([...played].map(({ orderId }) => `${namespace}/${SAGA}/${orderId}`));
  const events = new Map(
    announced.filter(({ key }) => own.has(key)).map(({ key, sequence, type }) => [`${key}/${sequence}`, type]),
  );
  const placed = heard.length;
  const told = counts(heard);
  return {
    seed,
    mark,
    accepted,
    placed,
    told,
    announced: counts([...events.values()]),
    refused,
    settled,
    phases,
    p50Ms,
    p99Ms,
    tookMs,
    violations,
  };
}

function counts(names: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));
}

function read(args: readonly string[]): Options {
  const values = parse(args);
  const mark = values.mark ?? randomBytes(3).toString('hex');
  if (!/^[a-z0-9]{1,8}$/.test(mark)) throw new UsageError(`--mark ${mark}: up to 8 lower-case letters and digits`);
  const account = values['token-account'] ?? 'mercato-e2e/mercato-player';
  const [namespace = '', name = ''] = account.split('/');
  if (namespace === '' || name === '') throw new UsageError(`--token-account ${account}: give namespace/name`);
  return {
    orders: count('orders', values.orders ?? '200', 1, 100_000),
    placed: count('placed', values.placed ?? '50', 0, 100),
    held: count('held', values.held ?? '0', 0, 100),
    cancelled: count('cancelled', values.cancelled ?? '0', 0, 100),
    listen: values.listen === undefined ? undefined : addressIn(values.listen),
    announcer: values.announcer ?? 'system:serviceaccount:mercato-shop:order',
    journal: journalNamed(values.journal ?? 'kubernetes'),
    seconds: count('seconds', values.seconds ?? '20', 1, 86_400),
    seed: values.seed ?? randomBytes(4).toString('hex'),
    mark,
    namespace: values.namespace ?? 'mercato-shop',
    account: { namespace, name },
    patienceMs: count('patience', values.patience ?? '120', 1, 3_600) * 1000,
    participants: values.participants ?? 'examples/in-cluster/participants.yaml',
  };
}

const FLAGS = [
  'orders',
  'placed',
  'held',
  'cancelled',
  'listen',
  'announcer',
  'journal',
  'seconds',
  'seed',
  'mark',
  'namespace',
  'token-account',
  'patience',
  'participants',
] as const;

function parse(args: readonly string[]): { readonly [flag in (typeof FLAGS)[number]]?: string } {
  const options = Object.fromEntries(FLAGS.map((flag) => [flag, { type: 'string' as const }]));
  try {
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function addressIn(text: string): { readonly host: string; readonly port: number } {
  const [, host = '', port = ''] = /^([0-9.]+):([0-9]{1,5})$/.exec(text) ?? [];
  if (host === '' || Number(port) > 65_535)
    throw new UsageError(`--listen ${text}: give address:port, as 0.0.0.0:8080`);
  return { host, port: Number(port) };
}

function journalNamed(name: string): Journal {
  const journal = JOURNALS.find((each) => each === name);
  if (journal === undefined) throw new UsageError(`--journal ${name}: one of ${JOURNALS.join(', ')}`);
  return journal;
}

function count(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`--${flag} ${text}: a whole number from ${least} to ${most}`);
  return value;
}

if (import.meta.main) {
  try {
    process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
  } catch (error) {
    const known = error instanceof UsageError || error instanceof ConfigError;
    process.stderr.write(`${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
