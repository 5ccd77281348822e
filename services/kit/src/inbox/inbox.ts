import { type Clock, systemClock } from '../clock.ts';
import type { BackgroundTask } from '../service.ts';
import type { Migrations } from '../store/migrations.ts';
import type { Store, Tx } from '../store/port.ts';
import { SWEEP_ROWS, sweepAll } from '../sweep.ts';
import { before, days, type Instant, type Milliseconds, minutes } from '../units.ts';
import { parseEvents, type ReceivedEvent } from './event.ts';

/** What came of an event: its effect was made, or there was none to make, and why. */
export type Effect = 'applied' | { readonly ignored: string };

/** Events of one source that a service acts upon. */
export interface Subscription {
  /** As the sender's Outbox was given it: `/mercato/shipping`. */
  readonly source: string;
  readonly types: readonly string[];
  /**
   * Makes the event's effect, in the transaction that remembers the event. To ignore it is to have written nothing: it is acknowledged
   * and will not come again. What is thrown takes the whole delivery back and has the sender try again, for ever: only for what passes.
   */
  handle(tx: Tx, event: ReceivedEvent): Effect;
}

/** How many events of a delivery ended how. */
export interface Receipt {
  readonly applied: number;
  /** Handled before, by source and id. */
  readonly duplicate: number;
  /** Older than one of the same order and source that was handled before. */
  readonly stale: number;
  readonly ignored: number;
  /** Of sources and types that nobody here subscribed to. They leave no trace. */
  readonly unsubscribed: number;
}

export interface InboxOptions {
  /** Opened with `inboxMigrations`. */
  readonly store: Store;
  readonly subscriptions: readonly Subscription[];
  /** @default the machine's clock */
  readonly clock?: Clock;
  /**
   * How long events and sequences are remembered: longer than any sender or queue may keep an event and send it again, since a duplicate that comes later is
   * carried out a second time. Shorter than the senders' `sequenceRetention`, so that a count which began anew is not taken for old news. @default 35 days
   */
  readonly retention?: Milliseconds;
  /** Told, once it is committed, each event that was acknowledged without an effect. */
  readonly onIgnored?: (event: ReceivedEvent, why: string) => void;
  /** Told each delivery that was taken. */
  readonly onReceived?: (receipt: Receipt) => void;
}

/** The tables of an Inbox. */
export const inboxMigrations: Migrations = {
  component: 'kit.inbox',
  steps: [
    `CREATE TABLE inbox_event (source TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (source, id)) STRICT, WITHOUT ROWID;
     CREATE INDEX inbox_event_at ON inbox_event (at);
     CREATE TABLE inbox_sequence (source TEXT NOT NULL, stream TEXT NOT NULL, last INTEGER NOT NULL, at INTEGER NOT NULL,
       PRIMARY KEY (source, stream)) STRICT, WITHOUT ROWID;
     CREATE INDEX inbox_sequence_at ON inbox_sequence (at);`,
  ],
};

type Outcome = Exclude<keyof Receipt, 'unsubscribed'>;

/**
 * Takes the events that other services' relays send at least once, and makes each effect once: that an event was handled is committed
 * together with its effect. A delivery is taken whole or not at all, so that nothing later of an order is handled while something
 * earlier of it is not.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #clock: Clock;
  readonly #subscriptions: ReadonlyMap<string, Subscription>;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#subscriptions = new Map(
      options.subscriptions.flatMap((each) => each.types.map((type) => [nameOf(each.source, type), each] as const)),
    );
  }

  /**
   * Takes a request's body, in structured or batched mode, and resolves when it is on disk.
   * @throws ProblemError 400 or 413 for what is wrong with the body (see parseEvents); whatever a subscription or the store throws:
   * then nothing of the delivery is stored
   */
  async receive(body: unknown): Promise<Receipt> {
    const isWanted = (source: string, type: string) => this.#subscriptions.has(nameOf(source, type));
    const { wanted, others } = parseEvents(body, isWanted);
    const ends = wanted.length === 0 ? [] : await this.#handle(wanted);
    for (const { event, why } of ends) if (why !== undefined) this.#options.onIgnored?.(event, why);
    const count = (outcome: Outcome) => ends.filter((end) => end.outcome === outcome).length;
    const receipt: Receipt = {
      applied: count('applied'),
      duplicate: count('duplicate'),
      stale: count('stale'),
      ignored: count('ignored'),
      unsubscribed: others,
    };
    this.#options.onReceived?.(receipt);
    return receipt;
  }

  /** Forgets all that is older than the retention. For startService. */
  get task(): BackgroundTask {
    const run = (signal: AbortSignal) => sweepAll(async () => (await this.sweep()) >= SWEEP_ROWS, signal);
    return { name: 'sweep inbox', interval: minutes(1), run };
  }

  /** Forgets up to {@link SWEEP_ROWS} events and as many sequences that are older than the retention. Returns how many. */
  sweep(): Promise<number> {
    const until = before(this.#clock.now(), this.#options.retention ?? days(35));
    return this.#options.store.transact(
      (tx) =>
        tx.run(
          `DELETE FROM inbox_event WHERE (source, id) IN (SELECT source, id FROM inbox_event WHERE at < ? LIMIT ?)`,
          until,
          SWEEP_ROWS,
        ) +
        tx.run(
          `DELETE FROM inbox_sequence WHERE (source, stream) IN (SELECT source, stream FROM inbox_sequence WHERE at < ? LIMIT ?)`,
          until,
          SWEEP_ROWS,
        ),
    );
  }

  #handle(events: readonly ReceivedEvent[]) {
    return this.#options.store.transact((tx) => {
      const now = this.#clock.now();
      return events.map((event) => ({ event, ...this.#handleOne(tx, event, now) }));
    });
  }

  #handleOne(tx: Tx, event: ReceivedEvent, now: Instant): { outcome: Outcome; why?: string } {
    if (!isNew(tx, event, now)) return { outcome: 'duplicate' };
    if (!isNext(tx, event, now)) return { outcome: 'stale' };
    const effect = this.#subscriptions.get(nameOf(event.source, event.type))!.handle(tx, event);
    return effect === 'applied' ? { outcome: 'applied' } : { outcome: 'ignored', why: effect.ignored };
  }
}

/** Neither a source nor a type has a space in it. */
function nameOf(source: string, type: string): string {
  return `${source} ${type}`;
}

/** Remembers an event; false if it was remembered before. */
function isNew(tx: Tx, { source, id }: ReceivedEvent, now: Instant): boolean {
  return tx.run('INSERT INTO inbox_event VALUES (?, ?, ?) ON CONFLICT DO NOTHING', source, id, now) === 1;
}

/** Moves the order's sequence on to this event; false if it is there already, or further. */
function isNext(tx: Tx, { source, namespace, saga, orderId, sequence }: ReceivedEvent, now: Instant): boolean {
  const moved = tx.run(
    `INSERT INTO inbox_sequence VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET last = excluded.last, at = excluded.at WHERE last < excluded.last`,
    source,
    `${namespace}/${saga}/${orderId}`,
    sequence,
    now,
  );
  return moved === 1;
}
