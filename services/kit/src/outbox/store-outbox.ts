import type { Store } from '../store/port.ts';
import { SWEEP_ROWS } from '../sweep.ts';
import type { Instant } from '../units.ts';
import { backlog, markRead, readOutbox, sweepOutbox } from './outbox.ts';
import type { OutboxSource, Subscriber, Swept, UnsentEvents, UnsentLimits } from './source.ts';

/** The outbox of a service whose rows are in a {@link Store}, which was opened with `outboxMigrations`. */
export class StoreOutbox implements OutboxSource {
  readonly #store: Store;
  readonly #watchers: (() => void)[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  async unsent(
    subscriber: Subscriber,
    limits: UnsentLimits,
    resting: ReadonlySet<string> = new Set(),
  ): Promise<UnsentEvents | undefined> {
    for (;;) {
      const reading = await this.#store.read((reader) => readOutbox(reader, subscriber, limits, resting));
      const { events, upTo, more } = reading;
      if (events.length === 0 && upTo === undefined) return undefined;
      const mark = (again?: ReadonlySet<number>) =>
        this.#store.transact((tx) => markRead(tx, subscriber.url, reading, again));
      if (events.length > 0) return { events: events.map(({ event }) => event), more, markSent: mark };
      // Nothing for this subscriber so far: remembered, or every pass would read it again and no sweep could delete it.
      await mark();
      if (!more) return undefined;
    }
  }

  backlog(subscriber: Subscriber): Promise<number> {
    return this.#store.read((reader) => backlog(reader, subscriber));
  }

  sweep(subscribers: readonly Subscriber[], until: Instant, forgetOrders: Instant): Promise<Swept> {
    return this.#store.transact((tx) => sweepOutbox(tx, subscribers, until, forgetOrders, SWEEP_ROWS));
  }

  watch(wake: () => void): void {
    this.#watchers.push(wake);
  }

  /** To be called after a commit that wrote events, so that they need not wait to be looked for. */
  written(): void {
    for (const wake of this.#watchers) wake();
  }
}
