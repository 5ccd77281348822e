import type { DatabaseSync } from 'node:sqlite';
import {
  type Answer,
  type CommandKind,
  Crash,
  type CrashPoint,
  formatKey,
  instant,
  type JsonObject,
  milliseconds,
  openDatabase,
  SqliteStore,
  type Store,
  toRfc3339,
  VirtualClock,
} from '@mercato/kit';
import type { Exchange } from '@mercato/kit/exchange.ts';
import { type CloudEvent, unsent } from '@mercato/kit/outbox/outbox.ts';
import { memoryLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import { type AcquirerOptions, SimulatedAcquirer } from '../acquirer/backend.ts';
import type { AcquirerEntry } from '../acquirer/ledger.ts';
import { simulatedAcquirer } from '../adapters/simulated-acquirer.ts';
import { migrations, type PaymentService, paymentService } from '../service.ts';

/** One command of one order, as a test sends it. */
export interface Sent {
  readonly command: string;
  /** @default order-1 */
  readonly orderId?: string;
  /** @default pay */
  readonly step?: string;
  /** @default action */
  readonly kind?: CommandKind;
  /** @default 1 */
  readonly epoch?: number;
  readonly body: JsonObject;
}

/** A payment service with a simulated acquirer on a clock that the test moves. Its store outlives a crash of the service. */
export class PaymentBench {
  readonly clock = new VirtualClock(instant(Date.UTC(2026, 10, 22, 12)));
  readonly log = memoryLog<AcquirerEntry>();
  readonly acquirer: SimulatedAcquirer;
  readonly #begun = toRfc3339(this.clock.now());
  readonly #database: DatabaseSync = openDatabase(':memory:');
  readonly #crash: CrashPoint;
  #armed: string | undefined;
  #store!: Store;
  /** Where requests to the acquirer go; a test may put itself in between. */
  exchange: Exchange;
  service!: PaymentService;
  readonly errors: unknown[] = [];

  constructor(options: Partial<AcquirerOptions> = {}) {
    this.acquirer = new SimulatedAcquirer({ clock: this.clock, ...options });
    this.exchange = inProcessExchange({ backend: this.acquirer, log: this.log, clock: this.clock });
    this.#crash = (point) => {
      if (point !== this.#armed) return;
      this.#armed = undefined;
      throw new Crash(`the process died at ${point}`);
    };
    this.restart();
  }

  /** A new process on what the old one had committed. */
  restart(): void {
    this.#store = new SqliteStore(this.#database, { migrations });
    this.service = paymentService({
      store: this.#store,
      processor: simulatedAcquirer((request) => this.exchange(request)),
      clock: this.clock,
      crashPoint: this.#crash,
      onError: (error) => this.errors.push(error),
    });
  }

  /** The process dies when it next gets to this point; `send` then rejects with a Crash. */
  crashAt(point: 'effect' | 'record' | 'call'): void {
    this.#armed = point;
  }

  /** Carries out one command; time passes while it waits for the acquirer. */
  send(sent: Sent): Promise<Answer> {
    const { command, orderId = 'order-1', step = 'pay', kind = 'action', epoch = 1, body } = sent;
    const key = formatKey({ namespace: 'shop', saga: 'checkout', orderId, step, kind });
    return this.passing(this.service.participant.execute({ command, key, epoch, begun: this.#begun, body }));
  }

  /** As send, again under the same key while the answer is 425 or 5xx, at most `attempts` times: what the engine does. */
  async repeat(sent: Sent, attempts = 5): Promise<Answer> {
    let answer = await this.send(sent);
    for (let i = 1; i < attempts && isUnknown(answer); i++) {
      this.clock.advance(milliseconds(500));
      answer = await this.send(sent);
    }
    return answer;
  }

  /** Lets virtual time pass in steps of 50 ms until the work is done. */
  async passing<R>(work: Promise<R>): Promise<R> {
    let isDone = false;
    const watched = work.finally(() => {
      isDone = true;
    });
    watched.catch(() => undefined);
    for (let turns = 0; !isDone; turns++) {
      if (turns > 10_000) throw new Error('not done after 500 s of virtual time');
      await new Promise((resolve) => setImmediate(resolve));
      // A few turns without time passing, so that prompt work takes none.
      if (turns > 5) this.clock.advance(milliseconds(50));
    }
    return watched;
  }

  /** Lets time pass and the reconciler work, once a second. */
  async reconcileFor(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(milliseconds(1_000));
      await this.passing(this.service.reconcile());
    }
  }

  /** The acquirer's log. */
  entries(orderId = 'order-1'): readonly AcquirerEntry[] {
    return this.log.read(0, 100_000).entries.filter((entry) => entry.orderKey === `shop/checkout/${orderId}`);
  }

  /** As `authorise approved`, one for each entry. */
  story(orderId = 'order-1'): string[] {
    return this.entries(orderId).map((entry) => `${entry.operation} ${entry.outcome}`);
  }

  /** Minor units, by the acquirer's log alone: held now, captured, refunded. */
  truth(orderId = 'order-1'): { held: number; captured: number; refunded: number } {
    return truthOf(this.entries(orderId));
  }

  /** The types of the order's events so far, without their common prefix. */
  async events(): Promise<string[]> {
    const found = await this.#store.read((reader) => unsent(reader, 'test', 1_000));
    return found.map(({ event }: { event: CloudEvent }) => event.type.replace('dev.mercato.payment.', ''));
  }

  /** Every text that is stored anywhere, for looking for what must not be. */
  everythingStored(): string {
    const tables = this.#database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    return tables.map(({ name }) => JSON.stringify(this.#database.prepare(`SELECT * FROM ${name}`).all())).join('\n');
  }
}

/** Sums of a log's entries: repeats and refusals move nothing. */
export function truthOf(entries: readonly AcquirerEntry[]): { held: number; captured: number; refunded: number } {
  const approved = entries.filter((entry) => entry.outcome === 'approved');
  const of = (operation: AcquirerEntry['operation']) => approved.filter((entry) => entry.operation === operation);
  const closed = new Set([...of('void'), ...of('capture')].map((entry) => entry.target));
  const sum = (list: readonly AcquirerEntry[]) => list.reduce((total, entry) => total + entry.amount, 0);
  return {
    held: sum(of('authorise').filter((entry) => !closed.has(entry.id))),
    captured: sum(of('capture')),
    refunded: sum(of('refund')),
  };
}

function isUnknown(answer: Answer): boolean {
  return answer.status === 425 || answer.status === 202 || answer.status >= 500;
}
