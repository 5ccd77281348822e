import { API_VERSION } from '../../api/kind.ts';
import type { RestockOrder } from '../../api/restockorder.ts';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
import { InventoryRefused, InventoryUnavailable, isUnknownWarehouse } from '../../inventory/errors.ts';
import { type Inventory, type Stock, warehouseIdOf } from '../../inventory/port.ts';
import type { Cache } from '../../kube/cache.ts';
import { isAlreadyExists, isNamespaceTerminating } from '../../kube/errors.ts';
import type { Recorder } from '../../kube/events.ts';
import type { Fence } from '../../kube/fence.ts';
import { keyOf, type NamespacedName, type ObjectKey } from '../../kube/key.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ReconcileContext } from '../../runtime/controller.ts';
import { done, type Result, requeueAfter } from '../../runtime/result.ts';
import { BY_WAREHOUSE, restockOrders, warehouseKey } from '../restockorder/resource.ts';
import { type StatusPorts, writeStatus } from '../status.ts';
import type { InventoryDirectory } from './inventories.ts';
import { expectedOf, levelsOf } from './levels.ts';
import { policies, settingsOf } from './policy.ts';
import { type Proposal, proposalsFor } from './reorder.ts';
import { warehouseInventories } from './resource.ts';
import { type Look, type Seen, statusOf } from './status.ts';

/** A warehouse that could be looked at is looked at again, and its status written, after this time and not sooner, in milliseconds. */
export const LOOK_EVERY_MILLIS = 10_000;

export interface WarehouseInventoryOptions extends StatusPorts {
  readonly inventories: Pick<InventoryDirectory, 'find'>;
  readonly orders: Cache<RestockOrder>;
  readonly ordersFence: Fence;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** In milliseconds. @default {@link LOOK_EVERY_MILLIS} */
  readonly lookEveryMillis?: number;
}

/** What this process did for a warehouse; to forget it costs one more request. */
interface Memory {
  /** When it was last seen, on the monotonic clock, and the generation that was. */
  lookedAt: number;
  generation: number;
  /** The address and generation that were registered. */
  registered: string | undefined;
}

/**
 * One warehouse: registers it with its inventory, shows what inventory says of it, and proposes a RestockOrder when goods run low. The orders
 * are not owned by the warehouse: goods that are on their way stay so when its object is deleted, and their orders then say what they wait for.
 */
export class WarehouseInventoryController {
  readonly #o: WarehouseInventoryOptions;
  readonly #memory = new Map<ObjectKey, Memory>();

  constructor(options: WarehouseInventoryOptions) {
    this.#o = options;
  }

  async reconcile(warehouse: WarehouseInventory, { key, signal }: ReconcileContext): Promise<Result> {
    if (warehouse.metadata.deletionTimestamp !== undefined) return done();
    const every = this.#o.lookEveryMillis ?? LOOK_EVERY_MILLIS;
    const memory = this.#memoryOf(key);
    const rest = memory.lookedAt + every - this.#o.clock.monotonic();
    const { generation = 0 } = warehouse.metadata;
    if (memory.generation === generation && rest > 0) return requeueAfter(rest);

    const look = await this.#look(warehouse, memory, signal);
    // Only a look that saw something counts: whatever ends the trouble (its Participant is applied, a spec is put right) wakes this up,
    // and must not be told to come back later.
    if (look.seen) {
      memory.lookedAt = this.#o.clock.monotonic();
      memory.generation = generation;
    }
    const status = statusOf(warehouse, look, new Date(this.#o.clock.wall()).toISOString());
    this.#tell(warehouse, status);
    await writeStatus(this.#o, warehouseInventories, warehouse, status);
    return requeueAfter(every);
  }

  /** The object is gone. What inventory has of the warehouse stays: goods do not vanish with their description. */
  forget({ namespace, name }: NamespacedName): Result {
    this.#memory.delete(keyOf(namespace, name));
    return done();
  }

  async #look(warehouse: WarehouseInventory, memory: Memory, signal: AbortSignal): Promise<Look> {
    const { namespace = '', name, generation = 0 } = warehouse.metadata;
    const found = this.#o.inventories.find(namespace, warehouse.spec.participant.name);
    if (!found.found) return { seen: false, ready: 'False', reason: found.reason, message: found.message };
    try {
      // Orders before stock: see expectedOf.
      const orders = this.#o.orders.byIndex(BY_WAREHOUSE, warehouseKey(namespace, name));
      const stock = await this.#stock(warehouse, found.inventory, memory, `${found.address} ${generation}`, signal);
      const look = lookAt(warehouse, stock, orders, this.#o.clock.wall());
      if (proposalsFor(name, look.levels, this.#o.clock.wall()).length === 0) return look;
      return await this.#propose(warehouse, found.inventory, signal);
    } catch (error) {
      if (error instanceof InventoryUnavailable) {
        return { seen: false, ready: 'Unknown', reason: error.reason, message: error.message };
      }
      if (error instanceof InventoryRefused) {
        const message = `inventory refuses it: ${error.message}`;
        return { seen: false, ready: 'False', reason: error.reason, message };
      }
      throw error;
    }
  }

  /** Reads the stock, after registering the warehouse if inventory has it not, or not as it is now. */
  async #stock(
    warehouse: WarehouseInventory,
    inventory: Inventory,
    memory: Memory,
    as: string,
    signal: AbortSignal,
  ): Promise<Stock> {
    const id = warehouseIdOf(warehouse.metadata.name);
    const register = async (): Promise<void> => {
      await inventory.register(id, settingsOf(warehouse.spec), signal);
      memory.registered = as;
    };
    if (memory.registered !== as) await register();
    try {
      return await inventory.stock(id, signal);
    } catch (error) {
      if (!isUnknownWarehouse(error)) throw error;
      // Its store was replaced since.
      await register();
      return inventory.stock(id, signal);
    }
  }

  /**
   * Proposes what is needed, after looking again with orders from the API server itself: a cache that is behind, after a take-over for
   * instance, would have the same goods ordered twice.
   */
  async #propose(warehouse: WarehouseInventory, inventory: Inventory, signal: AbortSignal): Promise<Seen> {
    const { namespace = '', name } = warehouse.metadata;
    const fieldSelector = `spec.warehouse=${name}`;
    const { items } = await this.#o.client.list(restockOrders, { namespace, fieldSelector, signal });
    const stock = await inventory.stock(warehouseIdOf(name), signal);
    const wall = this.#o.clock.wall();
    const created: RestockOrder[] = [];
    for (const proposal of proposalsFor(name, lookAt(warehouse, stock, items, wall).levels, wall)) {
      const order = await this.#create(warehouse, proposal, signal);
      if (order !== undefined) created.push(order);
    }
    return lookAt(warehouse, stock, [...items, ...created], wall);
  }

  async #create(
    warehouse: WarehouseInventory,
    { name, spec }: Proposal,
    signal: AbortSignal,
  ): Promise<RestockOrder | undefined> {
    const { namespace = '' } = warehouse.metadata;
    const object: RestockOrder = {
      apiVersion: API_VERSION,
      kind: 'RestockOrder',
      metadata: { namespace, name, labels: { 'mercato.dev/warehouse': spec.warehouse } },
      spec,
    };
    try {
      const order = await this.#o.client.create(restockOrders, object, { signal });
      this.#o.ordersFence.wrote(order);
      const units = spec.lines.reduce((sum, { quantity }) => sum + quantity, 0);
      this.#o.recorder.event(warehouse, {
        type: 'Normal',
        reason: 'RestockProposed',
        action: 'Propose',
        note: `proposed RestockOrder ${name}: ${units} units of ${spec.lines.length === 1 ? '1 SKU' : `${spec.lines.length} SKUs`} from ${spec.supplier}`,
        related: order,
      });
      return order;
    } catch (error) {
      // This minute's is there already: what is still missing is proposed in the next.
      if (isAlreadyExists(error) || isNamespaceTerminating(error)) return undefined;
      throw error;
    }
  }

  /** Tells what changed since the last status. */
  #tell(warehouse: WarehouseInventory, status: NonNullable<WarehouseInventory['status']>): void {
    for (const { type, status: is, reason, message } of status.conditions ?? []) {
      const was = warehouse.status?.conditions?.find((condition) => condition.type === type);
      if (was?.status === is && was.reason === reason) continue;
      // A warehouse that is well from the beginning is no news.
      if (was === undefined && is === (type === 'Ready' ? 'True' : 'False')) continue;
      if (type === 'StockLow' && is === 'Unknown') continue;
      const good = is === (type === 'Ready' ? 'True' : 'False');
      this.#o.recorder.event(warehouse, {
        type: good ? 'Normal' : 'Warning',
        reason,
        action: type === 'Ready' ? 'Observe' : 'CheckStock',
        note: message,
      });
    }
  }

  #memoryOf(key: ObjectKey): Memory {
    let memory = this.#memory.get(key);
    if (memory === undefined) {
      memory = { lookedAt: Number.NEGATIVE_INFINITY, generation: -1, registered: undefined };
      this.#memory.set(key, memory);
    }
    return memory;
  }
}

function lookAt(
  { spec }: WarehouseInventory,
  { lines, totals }: Stock,
  orders: readonly RestockOrder[],
  wallMillis: number,
): Seen {
  const expected = expectedOf(orders, wallMillis);
  const incoming = expected.incoming.values().reduce((sum, units) => sum + units, 0);
  return { seen: true, totals, levels: levelsOf(lines, policies(spec), expected), incoming, orders };
}
