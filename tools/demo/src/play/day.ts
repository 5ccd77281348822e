import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { checkConservation, type Observations } from '../conservation.ts';
import type { Intake } from '../intake/collect.ts';
import { applyManifest, type Manifest, readManifests } from '../local/install.ts';
import { SERVICES, type Site, urlOf } from '../local/programs.ts';
import { firstEnded, type Shop } from '../local/shop.ts';
import { Administration, observe } from './observe.ts';
import type { PlannedOrder } from './order.ts';
import { Player } from './player.ts';
import { type OpeningStock, openingStock } from './stockplan.ts';
import type { LowStock, Outcome } from './summary.ts';
import { lineOf, type Screen, showLive, tableOf } from './table.ts';

/** The saga that the orders follow: examples/ordersaga-checkout.yaml. */
export const SAGA = 'checkout';

/** How a day is played. */
export interface DayOptions {
  readonly shop: Shop;
  readonly namespace: string;
  readonly seed: string;
  readonly orders: readonly PlannedOrder[];
  /** @default no file was read */
  readonly intake?: Intake;
  readonly dayMs: number;
  readonly screen: Screen;
  /** @default the day's end is waited for as long as something changes every three minutes */
  readonly stallMs?: number;
}

/** A process of the shop ended in the middle of the day. */
export class ShopBroke extends Error {
  override readonly name = 'ShopBroke';
}

/** Puts what examples/ has for a shop into a namespace: participants at their actual addresses, the saga, the warehouses. */
export async function openShop(client: KubeClient, site: Site, namespace: string): Promise<void> {
  const manifests = await readManifests('examples');
  const kinds = new Set(['Participant', 'OrderSaga', 'WarehouseInventory']);
  const own = manifests.filter(({ kind }) => kinds.has(kind)).map((manifest) => atPort(manifest, site));
  await Promise.all(own.map((manifest) => applyManifest(client, manifest, namespace)));
}

function atPort(manifest: Manifest, site: Site): Manifest {
  const service = SERVICES.find((name) => manifest.kind === 'Participant' && name === manifest.metadata.name);
  if (service === undefined) return manifest;
  return { ...manifest, spec: { ...(manifest.spec as object), url: urlOf(site, service) } };
}

/** Plays a day of orders and answers what came of it, the conservation check included. @throws ShopBroke */
export async function playDay(options: DayOptions): Promise<Outcome> {
  const { shop, namespace, orders, dayMs, screen } = options;
  const admin = new Administration(shop.site, shop.client);
  try {
    const broughtIn = await stockUp(options, admin);
    const player = new Player({ client: shop.client, namespace, saga: SAGA, orders, dayMs });
    const began = performance.now();
    await watchAndSend(player, shop, screen, options.stallMs ?? STALL_MS);
    const tookMs = performance.now() - began;
    const seen = await observe(player, admin, shop.client, { namespace, saga: SAGA }, broughtIn);
    return {
      tally: player.tally(),
      tookMs,
      namespace,
      played: [...player.played.values()],
      refused: options.intake?.refused ?? [],
      ...(options.intake === undefined ? {} : { fileLines: linesOf(options.intake) }),
      lowStock: await lowStock(admin),
      violations: checkConservation(seen),
    };
  } finally {
    await admin.close();
  }
}

const STALL_MS = 180_000;
const POLL_MS = 100;

/** Sends the orders and watches the runs until all is quiet, or nothing has changed for too long: the conservation check says what is open then. */
async function watchAndSend(player: Player, shop: Shop, screen: Screen, stallMs: number): Promise<void> {
  const stop = new AbortController();
  const watching = player.watch(stop.signal);
  const began = performance.now();
  const sending = player.send(stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  const elapsed = () => performance.now() - began;
  const endShow = showLive(
    screen,
    () => tableOf(player.tally(), elapsed()),
    () => lineOf(player.tally(), elapsed()),
  );
  try {
    while (!player.isQuiet && performance.now() - player.changedMs < stallMs) {
      const ended = firstEnded(shop);
      if (ended !== undefined) throw new ShopBroke(`in the middle of the day ${ended.message}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    endShow();
    stop.abort(new Error('the day is over'));
    await Promise.all([sending, watching]);
  }
}

/** Declares the warehouses to inventory, if the operator has not yet, and brings the opening stock in. Answers what came in. */
async function stockUp(
  { seed, orders }: DayOptions,
  admin: Administration,
): Promise<NonNullable<Observations['broughtIn']>> {
  const warehouses = (await readManifests('examples')).filter(({ kind }) => kind === 'WarehouseInventory');
  await Promise.all(
    warehouses.map(({ metadata, spec }) => {
      const { location, priority } = spec as { location: { country: string }; priority: number };
      const body = { location: { country: location.country }, priority };
      return admin.ask('inventory', 'PUT', `/warehouses/${metadata.name}`, body);
    }),
  );
  const shares = warehouses.map(({ metadata }, i) => ({ id: metadata.name, share: i === 0 ? 2 : 1 }));
  const stock = openingStock(seed, orders, { warehouses: shares });
  for (let i = 0; i < stock.length; i += BATCH) await bringIn(admin, stock.slice(i, i + BATCH));
  return stock.map(({ adjustmentId, ...rest }) => ({ reference: adjustmentId, ...rest }));
}

const BATCH = 500;

async function bringIn(admin: Administration, stock: readonly OpeningStock[]): Promise<void> {
  const items = stock.map((each) => ({ ...each, type: 'received', reason: 'Opening stock' }));
  const answer = await admin.ask<{ items: { status: number; body: { detail?: string } }[] }>(
    'inventory',
    'POST',
    '/adjustments/batch',
    { items },
  );
  const failed = answer.items.findIndex(({ status }) => status !== 200);
  if (failed >= 0)
    throw new Error(`inventory did not take ${stock[failed]?.adjustmentId}: ${JSON.stringify(answer.items[failed])}`);
}

async function lowStock(admin: Administration): Promise<LowStock[]> {
  const { items } = await admin.ask<{ items: string[] }>('inventory', 'GET', '/warehouses');
  return Promise.all(
    items.map(async (warehouse) => {
      const path = `/warehouses/${warehouse}/summary?limit=5`;
      const { lowCount, outCount, out } = await admin.ask<{
        lowCount: number;
        outCount: number;
        out: { sku: string }[];
      }>('inventory', 'GET', path);
      return { warehouse, low: lowCount, out: outCount, examples: out.map(({ sku }) => sku) };
    }),
  );
}

function linesOf({ orders, refused }: Intake): number {
  const taken = orders.reduce(
    (sum, order) => sum + order.lines.reduce((lines, line) => lines + line.refs.length, 0),
    0,
  );
  return taken + refused.length;
}
