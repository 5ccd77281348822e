import type { DatabaseSync } from 'node:sqlite';
import {
  type Answer,
  type CrashPoint,
  instant,
  type JsonObject,
  type Milliseconds,
  openDatabase,
  type Route,
  SqliteStore,
  toRfc3339,
  VirtualClock,
} from '@mercato/kit';
import type { Strategy } from '../domain/sourcing.ts';
import { type EventOptions, type InventoryService, inventoryService, migrations } from '../service.ts';

export interface BenchOptions {
  /** Shared with another bench, it is one inventory with two processes, or a restart. @default a new one in memory */
  readonly database?: DatabaseSync;
  readonly clock?: VirtualClock;
  readonly strategy?: Strategy;
  readonly hold?: Milliseconds;
  readonly crashPoint?: CrashPoint;
  readonly events?: EventOptions;
}

/** An inventory without a server, on a virtual clock: for tests that drive commands and routes in process. */
export class InventoryBench {
  readonly clock: VirtualClock;
  readonly database: DatabaseSync;
  readonly store: SqliteStore;
  readonly service: InventoryService;

  constructor({ database = openDatabase(':memory:'), clock, crashPoint, ...rest }: BenchOptions = {}) {
    this.clock = clock ?? new VirtualClock(instant(Date.UTC(2026, 10, 22, 12)));
    this.database = database;
    const faults = crashPoint === undefined ? {} : { crashPoint };
    this.store = new SqliteStore(database, { migrations, ...faults });
    this.service = inventoryService({ store: this.store, clock: this.clock, ...faults, ...rest });
  }

  send(command: string, orderId: string, body: JsonObject, step = command, epoch = 1): Promise<Answer> {
    const kind = command === 'release-stock' ? 'compensation' : 'action';
    return this.service.participant.execute({
      command,
      key: `shop/checkout/${orderId}/${step}/${kind}`,
      epoch,
      begun: toRfc3339(this.clock.now()),
      body,
    });
  }

  reserve(
    orderId: string,
    lines: Record<string, number> | readonly JsonObject[],
    shipTo = { country: 'GB' },
  ): Promise<Answer> {
    const list = Array.isArray(lines)
      ? lines
      : Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity: Number(quantity) }));
    return this.send('reserve-stock', orderId, { lines: list, shipTo });
  }

  commit(orderId: string, reserved: Answer): Promise<Answer> {
    return this.send('commit-stock', orderId, { reservationId: reserved.body['reservationId'] });
  }

  /** Calls an administrative route as its handler is; rejects with its ProblemError. */
  async admin<T = JsonObject>(
    method: Route['method'],
    path: string,
    request: { params?: Record<string, string>; query?: JsonObject; body?: JsonObject } = {},
  ): Promise<T> {
    const found = this.service.routes.find((each) => each.method === method && each.path === path);
    if (found === undefined) throw new Error(`there is no ${method} ${path}`);
    const { params = {}, query = {}, body = {} } = request;
    return (await found.handle({ params, query, body, caller: { subject: 'test' } })) as T;
  }

  /** Puts up a warehouse and brings goods in. */
  async warehouse(id: string, stock: Record<string, number>, more: JsonObject = {}): Promise<void> {
    await this.admin('put', '/warehouses/{id}', { params: { id }, body: { location: { country: 'GB' }, ...more } });
    const lines = Object.entries(stock).map(([sku, quantity]) => ({ sku, quantity }));
    if (lines.length === 0) return;
    const body = { receiptId: `first-${id}`, warehouse: id, restock: 'first', lines };
    await this.admin('post', '/receipts', { body });
  }

  /** One SKU's counters in one warehouse. */
  async level(warehouse: string, sku: string): Promise<JsonObject> {
    const query = { sku };
    const { items } = await this.admin<{ items: JsonObject[] }>('get', '/warehouses/{id}/stock', {
      params: { id: warehouse },
      query,
    });
    const { onHand, reserved, committed, available } = items[0]!;
    return { onHand: onHand!, reserved: reserved!, committed: committed!, available: available! };
  }
}
