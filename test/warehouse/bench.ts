import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inventoryService, migrations } from '@mercato/inventory/service.ts';
import {
  createLogger,
  JwksTokenCheck,
  openDatabase,
  type RunningService,
  SqliteStore,
  startService,
} from '@mercato/kit';
import type { RestockOrder } from '@mercato/operator/api/restockorder.ts';
import type { StockAdjustment } from '@mercato/operator/api/stockadjustment.ts';
import { grant } from '@mercato/operator/api/testing.ts';
import type { WarehouseInventory } from '@mercato/operator/api/warehouseinventory.ts';
import { participants } from '@mercato/operator/controllers/participant/registry.ts';
import { restockOrders } from '@mercato/operator/controllers/restockorder/resource.ts';
import { stockAdjustments } from '@mercato/operator/controllers/stockadjustment/resource.ts';
import { warehouseInventories } from '@mercato/operator/controllers/warehouseinventory/resource.ts';
import { addWarehouseControllers } from '@mercato/operator/controllers/warehouses.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { loadConfig } from '@mercato/operator/kube/config.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { EventRecorder } from '@mercato/operator/kube/events.ts';
import { events, type Resource } from '@mercato/operator/kube/resource.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { requestedTokens } from '@mercato/operator/participants/tokens.ts';
import { systemClock } from '@mercato/operator/runtime/clock.ts';
import { Manager } from '@mercato/operator/runtime/manager.ts';
import { SimulatedSupplier } from '@mercato/operator/suppliers/simulator.ts';
import {
  type Placed,
  type PlacedOrder,
  type Progress,
  SupplierUnavailable,
  type SupplyOrder,
} from '@mercato/operator/suppliers/supplier.ts';
import { eventually, TestCluster } from '@mercato/operator/testing/cluster.ts';

/** Who approves in these tests: a user with the role `mercato-approve` and nothing else. */
export const APPROVER = 'ada';
const SERVICE_ACCOUNT = 'mercato-caller';
const AUDIENCE = 'inventory';

/** How often warehouses are looked at here: fast, so that nobody waits. */
const LOOK_EVERY_MILLIS = 150;

/** A supplier that cannot be reached until it is back, and then behaves as the simulated ones. Its orders are those of the supplier `absent`. */
export class AbsentSupplier extends SimulatedSupplier {
  back = false;

  override place(order: SupplyOrder, now: number): Promise<Placed> {
    return this.back
      ? super.place(order, now)
      : Promise.reject(new SupplierUnavailable('nobody answers the telephone'));
  }
}

/** A supplier as the simulated ones, whose time is what a test says. Its orders are those of the supplier `held`. */
export class HeldSupplier extends SimulatedSupplier {
  /** The share of an order's lead time that is over: goods leave after a quarter, and arrive at its end. */
  passed = 0;

  override async progress(order: PlacedOrder, now: number): Promise<Progress> {
    return { ...(await super.progress(order, this.#timeOf(order))), nextAt: now + LOOK_EVERY_MILLIS };
  }

  override cancel(order: PlacedOrder): Promise<boolean> {
    return super.cancel(order, this.#timeOf(order));
  }

  #timeOf({ orderedAt, leadTime }: PlacedOrder): number {
    return orderedAt + this.passed * leadTime;
  }
}

/** The warehouses' controllers under the operator's own rights, on a real API server, beside a real inventory that checks their tokens. */
export class WarehouseBench {
  readonly cluster: TestCluster;
  readonly absent = new AbsentSupplier();
  readonly held = new HeldSupplier();
  readonly #simulator = new SimulatedSupplier();
  readonly #database: string;
  #inventory: RunningService | undefined;
  #port = 0;
  readonly #managers: { readonly manager: Manager; readonly stop: AbortController; readonly ended: Promise<void> }[] =
    [];

  private constructor(cluster: TestCluster, database: string) {
    this.cluster = cluster;
    this.#database = database;
  }

  static async create(): Promise<WarehouseBench> {
    const cluster = await TestCluster.create();
    const directory = await mkdtemp(join(tmpdir(), 'mercato-inventory-'));
    const bench = new WarehouseBench(cluster, join(directory, 'inventory.sqlite'));
    await grant(cluster.plane, cluster.namespace, APPROVER, 'mercato-approve');
    const account = { namespace: cluster.system, name: SERVICE_ACCOUNT };
    const { token } = await cluster.client.createToken(account, { audiences: [cluster.plane.url] });
    await writeFile(join(directory, 'jwks-token'), token, { mode: 0o600 });
    await bench.startInventory();
    await bench.apply('Participant', 'inventory', {
      url: bench.#inventory?.url,
      audience: AUDIENCE,
      commands: [{ name: 'reserve-stock', reasons: ['OutOfStock'] }],
    });
    return bench;
  }

  /** Starts inventory, under the same address and with the same store as before. */
  async startInventory(): Promise<void> {
    const { plane, system } = this.cluster;
    const store = new SqliteStore(openDatabase(this.#database), { migrations });
    const { participant, routes, tasks } = inventoryService({ store });
    const tokens = new JwksTokenCheck({
      issuer: plane.url,
      audience: AUDIENCE,
      jwksUrl: `${plane.url}/openid/v1/jwks`,
      jwksCa: plane.caPem,
      jwksTokenFile: join(this.#database, '..', 'jwks-token'),
      allowedSubjects: [`system:serviceaccount:${system}:${SERVICE_ACCOUNT}`],
    });
    const logger = createLogger('inventory', 'silent');
    this.#inventory = await startService(
      { name: 'inventory', version: 'test', store, participant, tokens, logger, routes, tasks },
      this.#port,
      '127.0.0.1',
    );
    this.#port = Number(new URL(this.#inventory.url).port);
  }

  async stopInventory(): Promise<void> {
    await this.#inventory?.close();
    this.#inventory = undefined;
  }

  /**
   * Starts a manager with the warehouses' controllers: what the operator has, but quicker to look, and without a lease, so that a second call
   * makes two that both believe to lead.
   */
  startControllers(): void {
    const { cluster } = this;
    const client = new KubeClient(createTransport(loadConfig({ kubeconfig: cluster.operatorKubeconfig })));
    const manager = new Manager({ client, namespaces: [cluster.namespace], health: false });
    const recorder = new EventRecorder({ client, reportingController: 'test/warehouses', reportingInstance: 'test' });
    const close = addWarehouseControllers(manager, {
      client,
      participants: manager.cache(participants),
      tokens: requestedTokens({
        requestToken: (audience, expirationSeconds) =>
          client.createToken(
            { namespace: cluster.system, name: SERVICE_ACCOUNT },
            { audiences: [audience], expirationSeconds },
          ),
      }),
      recorder,
      registry: manager.metrics.registry,
      clock: systemClock,
      supplierOf: (name) => (name === 'absent' ? this.absent : name === 'held' ? this.held : this.#simulator),
      lookEveryMillis: LOOK_EVERY_MILLIS,
    });
    const stop = new AbortController();
    const ended = manager.run(stop.signal).finally(async () => {
      await recorder.stop();
      await close();
      await client.transport.close();
    });
    this.#managers.push({ manager, stop, ended });
  }

  async stopControllers(): Promise<void> {
    for (const { stop, ended } of this.#managers.splice(0)) {
      stop.abort(new Error('the test stops it'));
      await ended;
    }
  }

  async close(): Promise<void> {
    await this.stopControllers();
    await this.cluster.close();
    await this.stopInventory();
  }

  apply(kind: string, name: string, spec: object): Promise<void> {
    return this.cluster.apply({ kind, metadata: { name }, spec });
  }

  /** Applies a warehouse of this inventory, with a policy. */
  applyWarehouse(name: string, policy: object, more: object = {}): Promise<void> {
    const spec = { participant: { name: 'inventory' }, location: { country: 'GB' }, policy, ...more };
    return this.apply('WarehouseInventory', name, spec);
  }

  applyAdjustment(name: string, spec: object): Promise<void> {
    return this.apply('StockAdjustment', name, { adjustmentId: name, type: 'Received', reason: 'a test', ...spec });
  }

  /** Does to an object what somebody with kubectl does, under their own name. */
  async kubectl(user: string, ...args: string[]): Promise<string> {
    return this.cluster.plane.kubectl(['--as', user, '--namespace', this.cluster.namespace, ...args]);
  }

  warehouse(name: string, wanted: (warehouse: WarehouseInventory) => boolean): Promise<WarehouseInventory> {
    return this.#until(warehouseInventories, name, wanted);
  }

  order(name: string, wanted: (order: RestockOrder) => boolean): Promise<RestockOrder> {
    return this.#until(restockOrders, name, wanted);
  }

  adjustment(name: string, wanted: (adjustment: StockAdjustment) => boolean): Promise<StockAdjustment> {
    return this.#until(stockAdjustments, name, wanted);
  }

  /** The restock orders of a warehouse, by name. */
  async ordersOf(warehouse: string): Promise<RestockOrder[]> {
    const { client, namespace } = this.cluster;
    const { items } = await client.list(restockOrders, { namespace, fieldSelector: `spec.warehouse=${warehouse}` });
    return items.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** The reasons of the events about an object, once `reason` is among them. */
  async eventsOf(name: string, reason: string): Promise<string[]> {
    const { client, namespace } = this.cluster;
    let reasons: string[] = [];
    await eventually(
      async () => {
        const { items } = await client.list(events, { namespace });
        reasons = items.filter(({ regarding }) => regarding.name === name).map((event) => event.reason);
        return reasons.includes(reason);
      },
      () => `${name} has the events ${reasons.join(', ')}`,
    );
    return reasons;
  }

  /** The value of a metric, labels included: `mercato_stock_low_skus{...}`. */
  async metric(line: string): Promise<number | undefined> {
    const text = (await this.#managers[0]?.manager.metrics.registry.metrics()) ?? '';
    const found = text.split('\n').find((each) => each.startsWith(line));
    return found === undefined ? undefined : Number(found.slice(found.lastIndexOf(' ')));
  }

  async remove(of: Resource<KubeObject>, name: string): Promise<void> {
    await this.cluster.client.delete(of, { namespace: this.cluster.namespace, name });
  }

  async #until<T extends KubeObject & { status?: object }>(
    of: Resource<T>,
    name: string,
    wanted: (object: T) => boolean,
  ): Promise<T> {
    let last: T | undefined;
    await eventually(
      async () => {
        last = await this.cluster.client.get(of, { namespace: this.cluster.namespace, name }).catch((error) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
        return last !== undefined && wanted(last);
      },
      () => `${of.kind} ${name} became ${JSON.stringify(last?.status)}`,
    );
    return last as T;
  }
}
