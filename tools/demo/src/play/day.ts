import { API_VERSION } from '@mercato/operator/api/kind.ts';
import type { RestockOrder } from '@mercato/operator/api/restockorder.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { ofPlay } from '../conservation/mark.ts';
import { type Announcement, checkConservation, type Observations, type Violation } from '../conservation.ts';
import type { Intake } from '../intake/collect.ts';
import { resourceOf } from '../local/install.ts';
import type { Journal } from '../local/programs.ts';
import { apiServer } from './counter.ts';
import { Administration, isPassing, ObserverError, observe } from './observe.ts';
import type { PlannedOrder } from './order.ts';
import { OrderService } from './orderservice.ts';
import { patiently } from './patience.ts';
import { Player } from './player.ts';
import { unitHash } from './random.ts';
import { type OpeningStock, openingStock, type StockedWarehouse } from './stockplan.ts';
import type { LowStock, Outcome } from './summary.ts';
import { lineOf, type Screen, showLive, tableOf } from './table.ts';
import type { Venue } from './venue.ts';

/** The saga that the orders follow: examples/ordersaga-checkout.yaml. */
export const SAGA = 'checkout';

/** How a day is played. */
export interface DayOptions {
  readonly venue: Venue;
  readonly namespace: string;
  readonly seed: string;
  /** What this play's order ids and SKUs begin with, where others were played on the same stores. @default it is the only one */
  readonly mark?: string;
  readonly orders: readonly PlannedOrder[];
  /** Orders whose goods are there already. @default none */
  readonly before?: readonly PlannedOrder[];
  /** Share of the orders that are placed with the order service, from 0 to 1; the others are applied, and so are those of `before` unless it is 1. @default 0 */
  readonly placed?: number;
  /** Where runs live; all orders are to be placed where they are no objects. @default kubernetes */
  readonly journal?: Journal;
  /** What a subscriber of the order service heard so far. @default nobody listens */
  readonly announced?: () => readonly Announcement[];
  /** Where the goods are. */
  readonly warehouses: readonly StockedWarehouse[];
  /** Share of the SKUs of which there is not enough. @default as openingStock */
  readonly scarce?: number;
  /** @default no file was read */
  readonly intake?: Intake;
  readonly dayMs: number;
  readonly screen: Screen;
  /** @default the day's end is waited for as long as something changes every three minutes */
  readonly stallMs?: number;
  /** How long what services finish after the runs is waited for, in milliseconds. @default 15000 */
  readonly settleMs?: number;
}

/** A process of the shop ended in the middle of the day. */
export class ShopBroke extends Error {
  override readonly name = 'ShopBroke';
}

/** Plays a day of orders and answers what came of it, the conservation check included. @throws ShopBroke */
export async function playDay(options: DayOptions): Promise<Outcome> {
  const { venue, namespace, dayMs, screen, mark, journal = 'kubernetes' } = options;
  const { client } = venue;
  const runsAreObjects = journal === 'kubernetes';
  const orders = [...(options.before ?? []), ...options.orders];
  const admin = new Administration(venue.reach);
  const service = new OrderService(venue.reach);
  const applied = apiServer(client, namespace, SAGA);
  const isPlaced = choice(options);
  try {
    const broughtIn = await stockUp(options, admin);
    const counterOf = (order: PlannedOrder) => (isPlaced(order) ? service : applied);
    const player = new Player({ client, namespace, saga: SAGA, orders, dayMs, counterOf, runsAreObjects });
    const began = performance.now();
    await watchAndSend(player, venue, screen, options.stallMs ?? STALL_MS);
    const tookMs = performance.now() - began;
    const look = async () => {
      const observed = await observe(player, admin, client, { namespace, saga: SAGA, runsAreObjects }, broughtIn);
      const announced = options.announced?.();
      const seen = announced === undefined ? observed : { ...observed, announced };
      return mark === undefined ? seen : ofPlay(seen, mark);
    };
    const violations = await checkSettled(look, options.settleMs ?? SETTLE_MS);
    return {
      tally: player.tally(),
      tookMs,
      namespace,
      played: [...player.played.values()],
      ...(options.intake === undefined ? {} : { intake: options.intake }),
      lowStock: await lowStock(admin),
      restocks: await patiently(() => restocks(client, namespace), admin.patienceMs, isPassing),
      violations,
    };
  } finally {
    await Promise.all([admin.close(), service.close()]);
  }
}

/** Which orders are placed: it follows from the seed. @throws Error where an order would be applied that nobody carries out */
function choice({ seed, before = [], placed = 0, journal }: DayOptions): (order: PlannedOrder) => boolean {
  if (journal === 'sqlite' && placed < 1)
    throw new Error('with the sqlite journal nobody carries out OrderSagaRuns that are applied: place all orders');
  const isBefore = new Set(before);
  return (order) =>
    placed >= 1 ||
    order.cancel === true ||
    (!isBefore.has(order) && unitHash(`${seed}\nplaced\n${order.orderId}`) < placed);
}

/**
 * The conservation check, repeated for a while if it finds something: services have work of their own to finish after a run has
 * ended (a late authorisation is voided when it turns up). What was done twice stays so, however long one looks.
 */
export async function checkSettled(look: () => Promise<Observations>, settleMs: number): Promise<Violation[]> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const violations = checkConservation(await look());
    if (violations.length === 0 || performance.now() > deadline) return violations;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const SETTLE_MS = 15_000;
const LOOK_MS = 1_000;
const STALL_MS = 180_000;
const POLL_MS = 100;

/** Sends the orders and watches the runs until all is quiet, or nothing has changed for too long: the conservation check says what is open then. */
async function watchAndSend(player: Player, venue: Venue, screen: Screen, stallMs: number): Promise<void> {
  const stop = new AbortController();
  const watching = player.watch(stop.signal);
  let failure: unknown;
  const following = player.follow(stop.signal).catch((error: unknown) => {
    failure = error;
  });
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
      if (failure !== undefined) throw failure;
      const ended = venue.broken?.();
      if (ended !== undefined) throw new ShopBroke(`in the middle of the day ${ended.message}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    endShow();
    stop.abort(new Error('the day is over'));
    await Promise.all([sending, watching, following]);
  }
}

/** Brings the opening stock in. Answers what inventory confirmed. */
export async function stockUp(
  options: Pick<DayOptions, 'seed' | 'orders' | 'warehouses' | 'scarce'>,
  admin: Administration,
): Promise<NonNullable<Observations['broughtIn']>> {
  const { seed, orders, warehouses, scarce } = options;
  const stock = openingStock(seed, orders, { warehouses, ...(scarce === undefined ? {} : { scarce }) });
  for (let i = 0; i < stock.length; i += BATCH) {
    const some = stock.slice(i, i + BATCH);
    // Twice is once: inventory remembers the adjustments' ids for ever.
    await patiently(() => bringIn(admin, some), admin.patienceMs, isPassing);
  }
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
  const refused = answer.items[failed];
  if (refused !== undefined)
    throw new ObserverError(
      `inventory did not take ${stock[failed]?.adjustmentId}: ${JSON.stringify(refused)}`,
      refused.status,
    );
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

async function restocks(client: KubeClient, namespace: string): Promise<Map<string, number>> {
  const { items } = await client.list(resourceOf<RestockOrder>(API_VERSION, 'RestockOrder'), { namespace });
  const byPhase = Map.groupBy(items, ({ status }) => status?.phase ?? 'Proposed');
  return new Map([...byPhase].map(([phase, orders]) => [phase, orders.length]));
}
