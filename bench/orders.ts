import { createReadStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '@mercato/controlplane/ports.ts';
import {
  type AcceptedOrder,
  type AcquirerNote,
  type CarrierNote,
  checkConservation,
  type ObservedRun,
  type Violation,
} from '@mercato/demo/conservation.ts';
import { OBSERVER_ACCOUNT, SYSTEM_NAMESPACE } from '@mercato/demo/local/install.ts';
import { Administration, observeExceptions, observeStock } from '@mercato/demo/play/observe.ts';
import { requestedTokens } from '@mercato/demo/play/reach.ts';
import type { Figure } from './figures.ts';
import { LoadGenerator, type LoadReport } from './load-generator.ts';
import { Meter } from './processes.ts';
import { type BenchShop, NAMESPACE, startBenchShop } from './shop.ts';
import { budget, outcome } from './skeleton.ts';
import { seedStock } from './stock.ts';

const RATE = Number(process.env['RATE'] ?? 1_000);
const SECONDS = Number(process.env['SECONDS'] ?? 60);
const WARMUP_SECONDS = Number(process.env['WARMUP'] ?? 30);
const SKUS = 1_000;

/**
 * Orders from `POST /orders` until their customer hears that they are completed: reserved, authorised, committed, booked and captured. Every service is a
 * process of its own, with durable writes and with tokens. At the end the conservation check, from the logs of client, acquirer, carrier and inventory.
 */
export async function orders(): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'mercato-orders-'));
  const notes = join(directory, 'client.jsonl');
  const { report, used, violations } = await placeOrders(directory, notes);
  for (const { sentence } of violations.slice(0, 20)) process.stderr.write(`${sentence}\n`);
  return [
    ...budget(used),
    ...outcome(report).map(withGoal),
    {
      name: 'violations of conservation',
      value: violations.length,
      unit: 'violations',
      goal: '<= 0',
    },
  ];
}

const GOALS: Readonly<Record<string, string>> = {
  'orders refused or unanswered': '<= 0',
  'orders without an end': '<= 0',
  'POST /orders, p99': '< 500',
  'POST /orders to completed, p99': '< 2000',
};

function withGoal(figure: Figure): Figure {
  // At the end of a minute a rate is never quite the one that was asked for.
  const goal = figure.name === 'orders completed a second' ? `>= ${RATE * 0.99}` : GOALS[figure.name];
  return goal === undefined ? figure : { ...figure, goal };
}

interface Played {
  readonly report: LoadReport;
  readonly used: ReadonlyMap<string, number>;
  readonly violations: readonly Violation[];
}

async function placeOrders(directory: string, notes: string): Promise<Played> {
  const starting = await LoadGenerator.start(await freePort());
  const shop = await startBenchShop(directory, { subscriber: `http://127.0.0.1:${starting.port}/events` });
  try {
    const tokenFor = requestedTokens(shop.client, { namespace: SYSTEM_NAMESPACE, name: OBSERVER_ACCOUNT });
    await seedStock(shop.urls.inventory, SKUS, await tokenFor('inventory'));
    const generator = await LoadGenerator.launch(
      starting,
      new URL(shop.urls.order).host,
      {
        rate: RATE,
        warmup: `${WARMUP_SECONDS}s`,
        duration: `${SECONDS}s`,
        skus: SKUS,
        tokenFile: shop.customerToken,
        log: notes,
      },
      ({ second, completed, open }) => {
        if (second % 5 === 0) process.stderr.write(`${second} s: ${completed} completed, ${open} open\n`);
      },
    );
    try {
      const meter = new Meter(new Map([...shop.fleet.pids, ['load generator', generator.pid]]));
      const report = await generator.run();
      // Before anybody asks for what was seen, which costs time too.
      const used = meter.perThing(Math.max(1, report.accepted));
      return { report, used, violations: await check(shop, notes, tokenFor) };
    } finally {
      generator.stop();
    }
  } finally {
    await shop.stop();
  }
}

async function check(
  shop: BenchShop,
  notes: string,
  tokenFor: (audience: string) => Promise<string>,
): Promise<Violation[]> {
  const admin = new Administration({ urlOf: (name) => shop.urls[name], tokenFor });
  try {
    const [client, acquirer, carrier, stock, exceptions] = await Promise.all([
      readNotes(notes),
      admin.log<AcquirerNote>('acquirer'),
      admin.log<CarrierNote>('carrier'),
      observeStock(admin),
      observeExceptions(shop.client),
    ]);
    return checkConservation({ at: Date.now(), ...client, acquirer, carrier, stock, exceptions });
  } finally {
    await admin.close();
  }
}

interface Noted {
  readonly accepted: AcceptedOrder[];
  readonly runs: ObservedRun[];
}

type Note =
  | {
      readonly accepted: string;
      readonly order: { currency: string; lines: { sku: string; quantity: number; unitPrice: number }[] };
    }
  | { readonly ended: string; readonly kind: 'completed' | 'failed' | 'cancelled' };

/** The client's own log: what it was promised, and what it was told. An order of whose end it heard nothing still runs. */
async function readNotes(path: string): Promise<Noted> {
  const accepted = new Map<string, AcceptedOrder>();
  const runs = new Map<string, ObservedRun>();
  const keyOf = (orderId: string) => `${NAMESPACE}/checkout/${orderId}`;
  for await (const line of createInterface(createReadStream(path))) {
    const note = JSON.parse(line) as Note;
    if ('accepted' in note) {
      const { currency, lines } = note.order;
      const total = lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
      const key = keyOf(note.accepted);
      accepted.set(key, { key, total, currency, lines });
      if (!runs.has(key)) runs.set(key, { key, phase: 'Running', givenUp: [] });
    } else {
      const key = keyOf(note.ended);
      runs.set(key, { key, phase: note.kind === 'completed' ? 'Succeeded' : 'Compensated', givenUp: [] });
    }
  }
  return { accepted: [...accepted.values()], runs: [...runs.values()] };
}
