import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type BenchShop,
  NAMESPACE,
  type OperatorProcess,
  type ShopOptions,
  startBenchShop,
} from '@mercato/bench/shop.ts';
import type { AcquirerNote, CarrierNote, Observations, Violation } from '@mercato/demo/conservation.ts';
import { OBSERVER_ACCOUNT, SYSTEM_NAMESPACE } from '@mercato/demo/local/install.ts';
import { checkSettled, SAGA, stockUp } from '@mercato/demo/play/day.ts';
import { atAddresses, openShop, readExamples } from '@mercato/demo/play/examples.ts';
import { Administration, observeExceptions, observeStock } from '@mercato/demo/play/observe.ts';
import { orderBook } from '@mercato/demo/play/orderbook.ts';
import { requestedTokens } from '@mercato/demo/play/reach.ts';
import { Subscriber } from '@mercato/operator/testing/subscriber.ts';
import { mustBeHeld } from '../crash/oracle.ts';
import { Customers } from './customers.ts';
import { Door } from './door.ts';

/** The longest that services may take for what they finish after the runs. */
const SETTLE_MS = 60_000;
const POLL_MS = 50;
/** What the services' administration is asked while they come and go. */
const PATIENCE_MS = 60_000;

/** How a shop is set up for a fault test. */
export interface StageOptions extends Pick<ShopOptions, 'envOf'> {
  readonly directory: string;
  readonly seed: string;
  /** Orders that can be sent at most. */
  readonly orders: number;
  /** @default one, with the sqlite journal */
  readonly operators?: readonly OperatorProcess[];
  /** Where the order service sends its events. @default to those of the operators that take the connection */
  readonly intake?: string;
}

/** The shop as processes, with its customers before it, who send nothing until they are released, and the observers of the conservation check. */
export class FaultStage {
  readonly shop: BenchShop;
  readonly customers: Customers;
  /** Who is told of orders. */
  readonly told: Subscriber;
  readonly #admin: Administration;
  readonly #broughtIn: NonNullable<Observations['broughtIn']>;
  readonly #doors: readonly Door[];

  private constructor(
    parts: Pick<FaultStage, 'shop' | 'customers' | 'told'>,
    observers: { admin: Administration; broughtIn: NonNullable<Observations['broughtIn']>; doors: readonly Door[] },
  ) {
    this.shop = parts.shop;
    this.customers = parts.customers;
    this.told = parts.told;
    this.#admin = observers.admin;
    this.#broughtIn = observers.broughtIn;
    this.#doors = observers.doors;
  }

  /** Starts everything, opens the shop and fills its warehouses. @throws ComponentError with the last lines of the log of what failed */
  static async set(options: StageOptions): Promise<FaultStage> {
    const { directory, seed, orders: count, operators, envOf, intake } = options;
    const told = await Subscriber.start();
    const doors: Door[] = [];
    const shop = await startBenchShop(directory, {
      subscriber: told.url,
      // Only a machine that crashes loses what etcd has not yet flushed; killed processes lose nothing. And a disk is shared by all.
      plane: { etcdUnsafeNoFsync: true, onProgress: () => {} },
      ...(operators === undefined ? {} : { operators }),
      ...(envOf === undefined ? {} : { envOf }),
      intake: async (addresses) => {
        if (intake !== undefined) return intake;
        const door = await Door.open(addresses);
        doors.push(door);
        return door.url;
      },
    });
    try {
      const urlOf = (name: keyof BenchShop['urls']) => shop.urls[name];
      const tokenFor = requestedTokens(shop.client, { namespace: SYSTEM_NAMESPACE, name: OBSERVER_ACCOUNT });
      const admin = new Administration({ urlOf, tokenFor, patienceMs: PATIENCE_MS });
      const examples = await readExamples();
      await openShop(shop.client, admin, atAddresses(examples, { urlOf }), NAMESPACE);
      const orders = orderBook(seed, count);
      const broughtIn = await stockUp({ seed, orders, warehouses: examples.warehouses }, admin);
      const token = await readFile(shop.customerToken, 'utf8');
      const customers = new Customers({ seed, url: shop.urls.order, token, namespace: NAMESPACE, saga: SAGA, orders });
      return new FaultStage({ shop, customers, told }, { admin, broughtIn, doors });
    } catch (error) {
      await shop.stop();
      await told.stop();
      throw error;
    }
  }

  /** Orders that were accepted and of whose end, or hold, nobody was told. */
  get inFlight(): number {
    return this.customers.openOf((id) => this.told.toldOf(id).length > 0).length;
  }

  /**
   * Waits until every order that was accepted has ended, or is held, and joins what all observers saw.
   * @throws Error that names orders which have not come to rest within `quietMs`
   */
  async check(quietMs: number): Promise<Checked> {
    await until('all customers were answered', quietMs, async () => this.customers.isAnswered);
    await until(
      'every order has ended',
      quietMs,
      async () => this.inFlight === 0,
      () =>
        this.customers
          .openOf((id) => this.told.toldOf(id).length > 0)
          .slice(0, 5)
          .map(({ id }) => id)
          .join(', '),
    );
    const violations = await checkSettled(() => this.#observe(), SETTLE_MS);
    const ends = new Map<string, number>();
    const untold: string[] = [];
    for (const [id, state] of await this.customers.look()) {
      ends.set(state, (ends.get(state) ?? 0) + 1);
      const heard = this.told.toldOf(id);
      if (!heard.includes(state.toLowerCase())) untold.push(`${id} is ${state}, and its customer heard: ${heard}`);
    }
    return { violations, ends, untold };
  }

  /** Ends everything and removes its folder. */
  async stop(): Promise<void> {
    await this.customers.stop();
    await this.#admin.close();
    await this.shop.stop();
    await Promise.all(this.#doors.map((door) => door.close()));
    await this.told.stop();
  }

  async #observe(): Promise<Observations> {
    await this.customers.look();
    const [acquirer, carrier, stock, exceptions] = await Promise.all([
      this.#admin.log<AcquirerNote>('acquirer'),
      this.#admin.log<CarrierNote>('carrier'),
      observeStock(this.#admin),
      observeExceptions(this.shop.client),
    ]);
    const { promises: accepted, runs } = this.customers;
    const held = mustBeHeld({ acquirer, carrier });
    const broughtIn = this.#broughtIn;
    return { at: Date.now(), accepted, runs, acquirer, carrier, stock, exceptions, broughtIn, mustBeHeld: held };
  }
}

/** How it all ended. */
export interface Checked {
  readonly violations: readonly Violation[];
  /** Orders by their state. */
  readonly ends: ReadonlyMap<string, number>;
  /** Orders whose customer was not told how they ended, as sentences. */
  readonly untold: readonly string[];
}

/** Polls. @throws Error with `detail` when it is not so in time */
export async function until(
  what: string,
  timeoutMs: number,
  isSo: () => Promise<boolean>,
  detail: () => string = () => '',
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so after ${timeoutMs / 1000} s: ${what} ${detail()}`.trim());
    await pause(POLL_MS);
  }
}
