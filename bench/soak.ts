import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@mercato/controlplane/ports.ts';
import { OBSERVER_ACCOUNT, SYSTEM_NAMESPACE } from '@mercato/demo/local/install.ts';
import { requestedTokens } from '@mercato/demo/play/reach.ts';
import { type Figure, median } from './figures.ts';
import { LoadGenerator, type LoadProgress } from './load-generator.ts';
import { Meter, residentBytes } from './processes.ts';
import { type BenchShop, startBenchShop } from './shop.ts';
import { budget, outcome } from './skeleton.ts';
import { seedStock } from './stock.ts';

const ORDERS = Number(process.env['ORDERS'] ?? 1_000_000);
const RATE = Number(process.env['RATE'] ?? 1_000);
const SAMPLE_SECONDS = 5;

/**
 * How long everything is kept that has a retention: so short that each file has its size before the middle of the run, and what grows after that grows for
 * ever. In production it is 35 days (docs/reference), and the disk is to be as large as that many orders need. Not below 1m, which settings take at least; a run
 * has to last eight times as long, since what is old goes once a minute.
 */
const RETENTION = process.env['RETENTION'] ?? '2m';

/** Whose memory is to be bounded. The simulated companies keep all of their books in memory: they are the world outside, and observed only. */
const OURS = ['operator', 'order', 'inventory', 'payment', 'shipping'] as const;
type Ours = (typeof OURS)[number];

/** Whose disk is bounded by retention. The others keep books: payments, bookings and movements of stock stay, so that what counts is what an order leaves. */
const FORGETFUL: readonly Ours[] = ['operator', 'order'];

/** Memory and disk of one process at one moment. */
interface Sample {
  readonly second: number;
  readonly resident: number;
  readonly disk: number;
}

/**
 * A million orders at full rate: whether memory stays flat, and the disk within what retention keeps. The second half of the run is held against the part
 * before it, from when the first things were forgotten.
 */
export async function soak(): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'mercato-soak-'));
  const starting = await LoadGenerator.start(await freePort());
  const shop = await startBenchShop(directory, {
    subscriber: `http://127.0.0.1:${starting.port}/events`,
    env: {
      MERCATO_KEY_RETENTION: RETENTION,
      MERCATO_ORDER_RETENTION: RETENTION,
      MERCATO_INBOX_RETENTION: RETENTION,
      MERCATO_OUTBOX_RETENTION: RETENTION,
    },
    envOf: (name) => (name === 'operator' ? { MERCATO_REMEMBER_ORDERS: RETENTION } : {}),
    ttl: RETENTION,
  });
  try {
    const tokenFor = requestedTokens(shop.client, { namespace: SYSTEM_NAMESPACE, name: OBSERVER_ACCOUNT });
    await seedStock(shop.urls.inventory, 1_000, await tokenFor('inventory'));
    const samples = new Map(OURS.map((name) => [name, [] as Sample[]]));
    let last = '';
    const sampling = setInterval(
      () => void sample(shop, samples).then((line) => (last = line)),
      SAMPLE_SECONDS * 1_000,
    );
    const say = ({ second, completed, open }: LoadProgress) => {
      if (second % 10 === 0)
        process.stderr.write(`${second} s: ${completed} of ${ORDERS} completed, ${open} open; ${last}\n`);
    };
    const target = new URL(shop.urls.order).host;
    const wish = { rate: RATE, orders: ORDERS, warmup: '10s', patience: '120s', tokenFile: shop.customerToken };
    const generator = await LoadGenerator.launch(starting, target, wish, say);
    try {
      const meter = new Meter(new Map([...shop.fleet.pids, ['load generator', generator.pid]]));
      const report = await generator.run();
      const used = meter.perThing(Math.max(1, report.accepted));
      return [...growth(samples, report.accepted), ...budget(used), ...outcome(report)];
    } finally {
      clearInterval(sampling);
      generator.stop();
    }
  } finally {
    await shop.stop();
  }
}

async function sample(shop: BenchShop, samples: ReadonlyMap<Ours, Sample[]>): Promise<string> {
  const said: string[] = [];
  for (const [name, of] of samples) {
    const pid = shop.fleet.pids.get(name) ?? 0;
    const resident = residentBytes(pid);
    const disk = await folderBytes(join(shop.fleet.directory, name));
    of.push({ second: of.length * SAMPLE_SECONDS, resident, disk });
    said.push(`${name} ${(resident / 1e6).toFixed(0)}/${(disk / 1e6).toFixed(0)} MB`);
  }
  return said.join(', ');
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const file of await readdir(folder)) {
    // A write-ahead log may go between the listing and the look.
    const found = await stat(join(folder, file)).catch(() => undefined);
    bytes += found?.size ?? 0;
  }
  return bytes;
}

/** The last fifth of the run over the fifth in its middle: 1 where nothing grows. */
function growth(samples: ReadonlyMap<Ours, readonly Sample[]>, orders: number): Figure[] {
  return [...samples].flatMap(([name, of]) => {
    const fifth = Math.max(1, Math.floor(of.length / 5));
    const middle = of.slice(2 * fifth, 3 * fifth);
    const end = of.slice(-fifth);
    const ratio = (what: 'resident' | 'disk') =>
      median(end.map((each) => each[what])) / median(middle.map((each) => each[what]));
    const disk = median(end.map((each) => each.disk));
    return [
      {
        name: `resident memory at the end, ${name}`,
        value: median(end.map(({ resident }) => resident)) / 1e6,
        unit: 'MB',
      },
      { name: `resident memory, end over middle, ${name}`, value: ratio('resident'), unit: 'ratio', goal: '<= 1.15' },
      { name: `disk at the end, ${name}`, value: disk / 1e6, unit: 'MB' },
      FORGETFUL.includes(name)
        ? { name: `disk, end over middle, ${name}`, value: ratio('disk'), unit: 'ratio', goal: '<= 1.15' }
        : { name: `disk for an order, ${name}`, value: disk / orders, unit: 'bytes', goal: '<= 4096' },
    ];
  });
}
