import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { concurrently } from './cluster.ts';
import type { Figure } from './figures.ts';
import { Fleet } from './fleet.ts';
import { SHIP_TO } from './order.ts';
import { Meter, writtenBytes } from './processes.ts';
import { seedStock } from './stock.ts';

const ORDERS = Number(process.env['ORDERS'] ?? 20_000);
const BATCH = 32;
/** Batches under way at once: enough that nobody waits for another's disk. */
const WIDTH = 8;
const SKUS = 1_000;

/** Starts the shop's participants and the companies that they call, as processes of their own without tokens. @returns their addresses */
export async function startParticipants(fleet: Fleet, env: Readonly<Record<string, string>> = {}) {
  const open = { MERCATO_INSECURE_NO_AUTH: 'true', ...env };
  const [acquirer, carrier] = await Promise.all([
    fleet.start({ name: 'acquirer', script: 'services/payment/src/acquirer/main.ts', readyPath: '/health' }),
    fleet.start({ name: 'carrier', script: 'services/shipping/src/carrier/main.ts', readyPath: '/health' }),
  ]);
  const [inventory, payment, shipping] = await Promise.all([
    fleet.start({ name: 'inventory', script: 'services/inventory/src/main.ts', env: open }),
    fleet.start({ name: 'payment', script: 'services/payment/src/main.ts', env: { ...open, ACQUIRER_URL: acquirer } }),
    fleet.start({ name: 'shipping', script: 'services/shipping/src/main.ts', env: { ...open, CARRIER_URL: carrier } }),
  ]);
  return { acquirer, carrier, inventory, payment, shipping };
}

/**
 * What the five commands of an order cost their participants and the companies behind them, in batches of 32 over kept connections: the part of an
 * order's budget that is theirs.
 */
export async function participants(): Promise<Figure[]> {
  const fleet = new Fleet(await mkdtemp(join(tmpdir(), 'mercato-participants-')));
  try {
    const urls = await startParticipants(fleet);
    await seedStock(urls.inventory, SKUS);
    const pools = {
      inventory: new Pool(urls.inventory, { connections: WIDTH }),
      payment: new Pool(urls.payment, { connections: WIDTH }),
      shipping: new Pool(urls.shipping, { connections: WIDTH }),
    };
    await play(pools, 'warm', ORDERS / 10);
    const meter = new Meter(fleet.pids);
    const written = new Map([...fleet.pids].map(([name, pid]) => [name, writtenBytes(pid)]));
    const began = performance.now();
    await play(pools, 'order', ORDERS);
    const seconds = (performance.now() - began) / 1000;
    const used = [...meter.perThing(ORDERS)];
    const bytes = [...fleet.pids].map(
      ([name, pid]) => [name, (writtenBytes(pid) - (written.get(name) ?? 0)) / ORDERS] as const,
    );
    await Promise.all(Object.values(pools).map((pool) => pool.close()));
    return [
      ...used.map(([name, value]) => ({ name: `CPU an order, ${name}`, value, unit: 'us' })),
      {
        name: 'CPU an order, participants and companies together',
        value: used.reduce((sum, [, value]) => sum + value, 0),
        unit: 'us',
        goal: '<= 1000',
      },
      ...bytes.map(([name, value]) => ({ name: `written an order, ${name}`, value: value / 1024, unit: 'KiB' })),
      { name: 'orders through all five commands', value: ORDERS / seconds, unit: '1/s' },
    ];
  } finally {
    await fleet.stop();
  }
}

type Pools = Readonly<Record<'inventory' | 'payment' | 'shipping', Pool>>;
type Output = Readonly<Record<string, string>>;

/** Carries orders through the steps of checkout, BATCH together. @throws Error when any command of any does not succeed */
async function play(pools: Pools, prefix: string, count: number): Promise<void> {
  await concurrently(Math.ceil(count / BATCH), WIDTH, async (batch) => {
    const begun = new Date().toISOString();
    const orders = Array.from({ length: BATCH }, (_, n) => batch * BATCH + n);
    const step = async (
      to: keyof Pools,
      command: string,
      body: (order: number, index: number) => object,
    ): Promise<Output[]> => {
      const items = orders.map((order, index) => ({
        command,
        key: `default/checkout/${prefix}-${order}/${command}/action`,
        epoch: 1,
        begun,
        body: body(order, index),
      }));
      const answer = await pools[to].request({
        method: 'POST',
        path: '/saga/batch',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ items }),
      });
      const { items: made } = (await answer.body.json()) as { items: { status: number; body: Output }[] };
      const wrong = made.find(({ status }) => status !== 200);
      if (wrong !== undefined) throw new Error(`${command}: ${JSON.stringify(wrong)}`);
      return made.map(({ body: output }) => output);
    };
    const lines = (order: number) =>
      [0, 7, 14].map((more) => ({ sku: `SKU-${(order * 31 + more) % SKUS}`, quantity: 1, unitPrice: 295 }));
    const money = { total: 885, currency: 'GBP' };
    const reserved = await step('inventory', 'reserve-stock', (order) => ({ lines: lines(order), shipTo: SHIP_TO }));
    const authorised = await step('payment', 'authorise-payment', (order) => ({
      ...money,
      paymentToken: 'tok_visa',
      customer: `customer-${order}`,
    }));
    const committed = await step('inventory', 'commit-stock', (_, n) => ({
      reservationId: reserved[n]?.['reservationId'],
    }));
    await step('shipping', 'book-shipment', (order, n) => ({
      shipTo: SHIP_TO,
      lines: lines(order),
      warehouses: committed[n]?.['warehouses'],
    }));
    await step('payment', 'capture-payment', (_, n) => ({
      ...money,
      authorisationId: authorised[n]?.['authorisationId'],
    }));
  });
}
