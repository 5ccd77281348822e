import { commitStock } from '@mercato/inventory/commands/commit.ts';
import { releaseStock } from '@mercato/inventory/commands/release.ts';
import { reserveStock } from '@mercato/inventory/commands/reserve.ts';
import type { Quantity, Sku, WarehouseId } from '@mercato/inventory/domain/names.ts';
import { expireReservations } from '@mercato/inventory/expiry.ts';
import { inventoryMigrations } from '@mercato/inventory/rows/schema.ts';
import { move } from '@mercato/inventory/rows/stock.ts';
import { saveWarehouse } from '@mercato/inventory/rows/warehouses.ts';
import { milliseconds, Outbox, outboxMigrations, Participant, recordMigrations } from '@mercato/kit';
import type { AppendLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import type { Fault, FaultRates } from '@mercato/kit/simulator/faults.ts';
import { SimulatedAcquirer } from '@mercato/payment/acquirer/backend.ts';
import type { AcquirerEntry } from '@mercato/payment/acquirer/ledger.ts';
import { simulatedAcquirer } from '@mercato/payment/adapters/simulated-acquirer.ts';
import { migrations as paymentMigrations, paymentService } from '@mercato/payment/service.ts';
import { simulatedCarrier } from '@mercato/shipping/adapters/simulated-carrier.ts';
import { SimulatedCarrier } from '@mercato/shipping/carrier/backend.ts';
import type { CarrierEntry } from '@mercato/shipping/carrier/ledger.ts';
import { migrations as shippingMigrations, shippingService } from '@mercato/shipping/service.ts';
import { CATALOGUE, FAR_COUNTRY } from './definitions.ts';
import type { Node } from './node.ts';
import type { Random } from './random.ts';
import type { ServiceSource } from './service-host.ts';

/** The outside companies: what they write down is what the checks believe. */
export interface Companies {
  readonly node: Node;
  readonly acquirerLog: AppendLog<AcquirerEntry>;
  readonly carrierLog: AppendLog<CarrierEntry>;
  /** Countries that the carrier does not serve; emptied when the faults end. */
  readonly unserved: string[];
  /** Whether the companies fail their callers now. */
  readonly isFaulty: () => boolean;
}

/** A log that tells of each entry as it is written. */
export function toldLog<Entry>(tell: (entry: Entry) => void): AppendLog<Entry> {
  const all: Entry[] = [];
  return {
    append: (entries) => {
      all.push(...entries);
      entries.forEach(tell);
      return Promise.resolve();
    },
    read: (cursor, limit) => ({
      entries: all.slice(cursor, cursor + limit),
      next: Math.min(all.length, cursor + limit),
    }),
    close: () => Promise.resolve(),
  };
}

const COMPANY_FAULTS: readonly Fault[] = ['timeout', 'late', 'error', 'error_after', 'drop', 'html', 'double', 'ghost'];

function drawRates(random: Random, name: string): FaultRates {
  const rates = new Map<Fault, number>();
  if (random.chance(0.4))
    for (const fault of COMPANY_FAULTS) if (random.chance(0.5)) rates.set(fault, random.next() * 0.12);
  return { seed: `${name} ${random.next()}`, rates };
}

/** Rates that end when the companies are to be well again. */
function whileFaulty({ seed, rates }: FaultRates, isFaulty: () => boolean): FaultRates {
  const none = new Map<Fault, number>();
  return {
    seed,
    get rates() {
      return isFaulty() ? rates : none;
    },
  };
}

/** The shop's three participants: their real code, with outside companies in the same process. */
export function serviceSources(random: Random, companies: Companies): ServiceSource[] {
  return [
    inventory(random.fork('inventory')),
    payment(random.fork('payment'), companies),
    shipping(random.fork('shipping'), companies),
  ];
}

const WAREHOUSES = ['leeds', 'rotterdam'] as const;

function inventory(random: Random): ServiceSource {
  const hold = milliseconds(random.pick([4_000, 15_000, 60_000, 900_000]));
  return {
    name: 'inventory',
    migrations: [recordMigrations, outboxMigrations, inventoryMigrations],
    prepare: (store) =>
      store.transact((tx) => {
        WAREHOUSES.forEach((id, index) => {
          saveWarehouse(tx, {
            id: id as WarehouseId,
            location: { country: index === 0 ? 'GB' : 'NL' },
            priority: index,
            policy: { safetyStock: 0, reorderPoint: 0 },
            overrides: [],
          });
          for (const sku of CATALOGUE) {
            const quantity = random.int(2, 9) as Quantity;
            move(tx, 'received', { warehouse: id as WarehouseId, sku: sku as Sku, quantity }, 'opening', 0 as never);
          }
        });
      }),
    make(store, clock, hooks) {
      const outbox = new Outbox('/mercato/inventory');
      const commands = [
        reserveStock({ outbox, strategy: 'priority', hold }),
        commitStock(outbox),
        releaseStock(outbox),
      ];
      return {
        participant: new Participant({ ...hooks, store, clock, commands }),
        commands,
        chores: () => expireReservations(store, outbox, clock),
      };
    },
  };
}

function payment(random: Random, { node, acquirerLog, isFaulty }: Companies): ServiceSource {
  const faults = whileFaulty(drawRates(random, 'acquirer'), isFaulty);
  const backend = new SimulatedAcquirer({ clock: node, faults });
  const exchange = inProcessExchange({ backend, log: acquirerLog, clock: node });
  return {
    name: 'payment',
    migrations: paymentMigrations,
    make(store, clock, hooks) {
      const { participant, commands, reconcile } = paymentService({
        ...hooks,
        store,
        clock,
        processor: simulatedAcquirer(exchange),
      });
      return { participant, commands, chores: reconcile };
    },
  };
}

function shipping(random: Random, { node, carrierLog, unserved, isFaulty }: Companies): ServiceSource {
  unserved.push(FAR_COUNTRY);
  const faults = whileFaulty(drawRates(random, 'carrier'), isFaulty);
  const backend = new SimulatedCarrier({ clock: node, faults, unserved });
  const exchange = inProcessExchange({ backend, log: carrierLog, clock: node });
  return {
    name: 'shipping',
    migrations: shippingMigrations,
    make(store, clock, hooks) {
      const { participant, commands, track } = shippingService({
        ...hooks,
        store,
        clock,
        carrier: simulatedCarrier(exchange),
      });
      return { participant, commands, chores: track };
    },
  };
}
