import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { ApiError, TransportError } from '@mercato/operator/kube/errors.ts';
import { configMaps } from '@mercato/operator/kube/resource.ts';
import { Agent, errors, request } from 'undici';
import type {
  AcceptedOrder,
  AcquirerNote,
  CarrierNote,
  GivenUp,
  Movement,
  Observations,
  ObservedRun,
  OrderKey,
  Reservation,
  StockLevel,
  ToldOrder,
} from '../conservation.ts';
import { SYSTEM_NAMESPACE } from '../local/install.ts';
import type { Told } from './counter.ts';
import { totalOf } from './order.ts';
import { patiently } from './patience.ts';
import type { PlayedOrder, Player } from './player.ts';
import type { Asked, Reach, SERVICES } from './reach.ts';

/** A service answered something else than what was asked for. */
export class ObserverError extends Error {
  override readonly name = 'ObserverError';
  /** Of the answer; undefined when what was told is no single answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** Whether a failed question may be answered later: nobody was there, or whoever was is busy or going. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ObserverError) return error.status === 429 || (error.status ?? 0) >= 500;
  if (error instanceof ApiError) return error.code === 429 || error.code >= 500;
  return error instanceof TransportError || error instanceof errors.UndiciError || isBrokenConnection(error);
}

/** What the system itself says of a connection: no such name (yet), nobody listens, the other side is gone. */
function isBrokenConnection(error: unknown): boolean {
  const codes = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ETIMEDOUT'];
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Asks the services' administration. All that it asks may be asked twice. */
export class Administration {
  readonly #reach: Reach;
  readonly #agent = new Agent({ connections: 8 });

  constructor(reach: Reach) {
    this.#reach = reach;
  }

  /** How long a question is asked again while nobody answers, in milliseconds. */
  get patienceMs(): number {
    return this.#reach.patienceMs ?? 0;
  }

  /** Sends one request to a service. @throws ObserverError for everything but 200 */
  ask<T>(service: (typeof SERVICES)[number], method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<T> {
    const once = async () => this.#send<T>(service, path, method, await this.#reach.tokenFor(service), body);
    return patiently(once, this.patienceMs, isPassing);
  }

  /** The whole log of a simulated company. It asks for no token. */
  async log<T>(company: 'acquirer' | 'carrier'): Promise<T[]> {
    const entries: T[] = [];
    for (;;) {
      const path = `/log?cursor=${entries.length}&limit=1000`;
      const once = () => this.#send<{ entries: T[] }>(company, path, 'GET', undefined, undefined);
      const page = await patiently(once, this.patienceMs, isPassing);
      if (page.entries.length === 0) return entries;
      entries.push(...page.entries);
    }
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #send<T>(
    name: Asked,
    path: string,
    method: 'GET' | 'POST' | 'PUT',
    token: string | undefined,
    body: unknown,
  ): Promise<T> {
    const url = `${this.#reach.urlOf(name)}${path}`;
    const answer = await request(url, {
      method,
      dispatcher: this.#agent,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200)
      throw new ObserverError(`${method} ${url}: ${answer.statusCode}: ${text.slice(0, 500)}`, answer.statusCode);
    return JSON.parse(text) as T;
  }
}

interface ReservationView {
  readonly reservationId: string;
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
  readonly state: Reservation['state'];
  readonly lines: Reservation['parts'];
}

/** Asks every observer what it saw. To be called once all is quiet. */
export async function observe(
  player: Player,
  admin: Administration,
  client: KubeClient,
  place: { namespace: string; saga: string; runsAreObjects?: boolean },
  broughtIn: NonNullable<Observations['broughtIn']>,
): Promise<Observations> {
  const keyOf = (orderId: string) => `${place.namespace}/${place.saga}/${orderId}`;
  const played = [...player.played.values()];
  const accepted = played
    .filter(({ acceptedMs }) => acceptedMs !== undefined)
    .map(({ orderId, order }): AcceptedOrder => {
      const { lines, currency } = order.input;
      return { key: keyOf(orderId), total: totalOf(order.input), currency, lines };
    });
  const told = played.flatMap((each) =>
    each.told === undefined ? [] : [toldOf(keyOf(each.orderId), each, each.told)],
  );
  const own =
    (place.runsAreObjects ?? true)
      ? played.flatMap(({ run }) => (run === undefined ? [] : [observedRun(keyOf(run.spec.orderId), run)]))
      : played.flatMap(({ orderId, told, run }) =>
          told === undefined ? [] : [{ key: keyOf(orderId), phase: told.phase, givenUp: run?.status?.givenUp ?? [] }],
        );
  const runs = [...own, ...[...player.strangers.values()].map((run) => observedRun(keyOf(run.spec.orderId), run))];
  const [acquirer, carrier, stock, exceptions] = await Promise.all([
    admin.log<AcquirerNote>('acquirer'),
    admin.log<CarrierNote>('carrier'),
    observeStock(admin),
    patiently(() => observeExceptions(client), admin.patienceMs, isPassing),
  ]);
  return { at: Date.now(), accepted, runs, told, acquirer, carrier, stock, exceptions, broughtIn };
}

function toldOf(key: OrderKey, { order, wasHeld = false }: PlayedOrder, { phase, reason }: Told): ToldOrder {
  const cancelAsked = order.cancel === true;
  return {
    key,
    phase,
    ...(reason === undefined ? {} : { reason }),
    customer: order.input.customer,
    wasHeld,
    cancelAsked,
  };
}

function observedRun(key: OrderKey, { status }: OrderSagaRun): ObservedRun {
  return { key, phase: status?.phase ?? 'Pending', givenUp: status?.givenUp ?? [] };
}

/** How often a picture that moved while it was taken is taken anew. */
const TRIES = 10;

/** Levels, reservations and movements of one moment: if something moved while they were read, they are read again. */
export async function observeStock(admin: Administration): Promise<Observations['stock']> {
  for (let tries = 1; ; tries++) {
    const movements = await pages<Movement & { readonly id: number }>(admin, '/movements?limit=5000');
    const rest = await observeLevels(admin);
    const since = await pages(admin, `/movements?limit=1&cursor=${movements.at(-1)?.id ?? 0}`);
    if (since.length === 0) return { ...rest, movements };
    if (tries === TRIES) throw new ObserverError('the stock does not stand still: it moved each time that it was read');
  }
}

async function observeLevels(admin: Administration): Promise<Omit<Observations['stock'], 'movements'>> {
  const [{ items: warehouses }, reservations] = await Promise.all([
    admin.ask<{ items: string[] }>('inventory', 'GET', '/warehouses'),
    pages<ReservationView>(admin, '/reservations?state=all&limit=1000'),
  ]);
  const levels = await Promise.all(
    warehouses.map(async (warehouse) => {
      const items = await pages<Omit<StockLevel, 'warehouse'>>(admin, `/warehouses/${warehouse}/stock?limit=5000`);
      return items.map((level) => ({ ...level, warehouse }));
    }),
  );
  return {
    levels: levels.flat(),
    reservations: reservations.map(({ reservationId, namespace, saga, orderId, state, lines }) => ({
      id: reservationId,
      key: `${namespace}/${saga}/${orderId}`,
      state,
      parts: lines,
    })),
  };
}

/** All pages of one of inventory's lists. */
async function pages<T>(admin: Administration, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const after: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { items: T[]; next?: string | number } = await admin.ask('inventory', 'GET', `${path}${after}`);
    items.push(...page.items);
    cursor = page.next === undefined || page.items.length === 0 ? undefined : String(page.next);
  }
  return items;
}

/** The exception records in the operator's namespace. */
export async function observeExceptions(client: KubeClient): Promise<Observations['exceptions']> {
  const labelSelector = 'mercato.dev/record=exception';
  const { items } = await client.list(configMaps, { namespace: SYSTEM_NAMESPACE, labelSelector });
  return items.map(({ data = {} }) => {
    const { run = '', decision, kind, step = '' } = data;
    return { key: run, decision: decision as GivenUp['decision'], kind: kind as GivenUp['kind'], step };
  });
}
