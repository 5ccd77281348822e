import type { Store } from '../store/port.ts';
import type { Instant } from '../units.ts';
import { backlog, markSent, readOutbox, sweepOutbox } from './outbox.ts';
import type { OutboxSource, Subscriber, Swept, UnsentEvents, UnsentLimits } from './source.ts';

/** Rows that one sweep deletes at most. */
const SWEEP = 5000;

/** The outbox of a service whose rows are in a {@link Store}, which was opened with `outboxMigrations`. */
export class StoreOutbox implements OutboxSource {
  readonly #store: Store;
  readonly #watchers: (() => void)[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  async unsent(subscriber: Subscriber, limits: UnsentLimits): Promise<UnsentEvents | undefined> {
    for (;;) {
      const { events, upTo, more } = await this.#store.read((reader) => readOutbox(reader, subscriber, limits));
      if (upTo === undefined) return undefined;
      const mark = () => this.#store.transact((tx) => markSent(tx, subscriber.url, upTo));
      if (events.length > 0) return { events: events.map(({ event }) => event), more, markSent: mark };
      // Nothing for this subscriber so far: remembered, or every pass would read it again and no sweep could delete it.
      await mark();
      if (!more) return undefined;
    }
  }

  backlog(subscriber: Subscriber): Promise<number> {
    return this.#store.read((reader) => backlog(reader, subscriber));
  }

  async sweep(subscribers: readonly Subscriber[], until: Instant, forgetOrders: Instant): Promise<Swept> {
    const events = await this.#store.transact((tx) => sweepOutbox(tx, subscribers, until, forgetOrders, SWEEP));
    return { events, more: events === SWEEP };
  }

  watch(wake: () => void): void {
    this.#watchers.push(wake);
  }

  /** To be called after a commit that wrote events, so that they need not wait to be looked for. */
  written(): void {
    for (const wake of this.#watchers) wake();
  }
}
