import { JournalUnavailable } from '../journals/journal.ts';
import { type Announcement, IncarnationLost } from '../journals/worker-journal.ts';
import { Backoff } from '../runtime/backoff.ts';
import { type Clock, pause } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runnable } from '../runtime/manager.ts';
import { runKey } from '../saga/command.ts';
import type { Announce, Announcements } from './announce.ts';
import { eventOf } from './event.ts';
import type { AnnouncerMetrics } from './metrics.ts';

/** Announcements in one delivery: what the services' own relay sends. */
const BATCH = 100;
/** Read ahead for who is quick while somebody is slow. */
const WINDOW = 5_000;
const READ_AT_ONCE = 500;
/** Runs that end within this time are told together. */
const COLLECT_MILLIS = 20;
/** What was written before somebody else told us. */
const LOOK_EVERY_MILLIS = 1_000;
const RETRY = { baseMs: 200, maxMs: 10_000, jitter: 0.2 };
/** Who waits for a telling ({@link Announcer.tell}) has a sender that waits, for 10 s as a rule. */
const TELL_MILLIS = 5_000;
/** Tellings that are waited for at once. */
const TELLINGS = 1_000;

export interface AnnouncerOptions {
  readonly source: Announcements;
  readonly subscribers: readonly Announce[];
  readonly metrics: AnnouncerMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Resolves when there is something to read from (the journal is open). */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  /** @default true: only the leader, or the only worker, tells */
  readonly needsLeaderElection?: boolean;
}

/** One announcement, and how many have yet to hear it. */
interface Pending {
  readonly announcement: Announcement;
  /** Called when all have heard it. */
  readonly toldToAll: () => void;
  left: number;
}

/** Not everybody was told in time; it may still be told. */
export class NotTold extends Error {
  override readonly name = 'NotTold';
}

/**
 * Tells subscribers what becomes of runs: each at least once and, of one run, in order. A subscriber that is slow or away is told again, with growing
 * pauses, and holds up the others only once 5,000 announcements wait for it. "Told" is one fact for all: after a restart everybody hears again what
 * somebody had not heard, and drops it by its sequence.
 */
export class Announcer implements Runnable {
  readonly name = 'announcer';
  readonly needsLeaderElection: boolean;
  readonly #o: AnnouncerOptions;
  /** By receipt: read from the journal, and not settled there. */
  readonly #pending = new Map<string, Pending>();
  /** By run and sequence: in no journal, and not told to all. */
  readonly #tellings = new Map<string, Promise<void>>();
  readonly #queues: Pending[][];
  readonly #toldToAll: string[] = [];
  readonly #wakers = new Set<() => void>();
  /** How often there was something new: what came while we looked is looked at again. */
  #news = 0;

  constructor(options: AnnouncerOptions) {
    this.#o = options;
    this.needsLeaderElection = options.needsLeaderElection ?? true;
    this.#queues = options.subscribers.map(() => []);
    for (const { name } of options.subscribers)
      for (const outcome of ['Told', 'Failed']) options.metrics.told.inc({ subscriber: name, outcome }, 0);
    options.metrics.watch(() => this.#sight());
  }

  /** There is something new to tell. */
  wake(): void {
    this.#news += 1;
    for (const waker of this.#wakers) waker();
  }

  /**
   * Tells what no journal keeps, and resolves once all have it: until then who asks must keep it, and ask again after a failure, which is harmless. Without
   * subscribers it resolves at once. @throws NotTold after 5 s, or when 1,000 others wait
   */
  async tell(announcement: Announcement): Promise<void> {
    const key = `${runKey(announcement.id)}/${announcement.sequence}`;
    const telling = this.#tellings.get(key) ?? this.#beginTelling(key, announcement);
    const late = Promise.withResolvers<never>();
    const cancel = this.#o.clock.after(TELL_MILLIS, () => {
      const waiting = this.#o.subscribers.filter((_, i) => this.#queues[i]?.length !== 0).map(({ name }) => name);
      late.reject(new NotTold(`${key} could not be told in ${TELL_MILLIS / 1000} s: see ${waiting.join(', ')}`));
    });
    await Promise.race([telling, late.promise]).finally(cancel);
  }

  #beginTelling(key: string, announcement: Announcement): Promise<void> {
    if (this.#queues.length === 0) return Promise.resolve();
    if (this.#tellings.size >= TELLINGS)
      throw new NotTold(`${key} cannot be told now: ${TELLINGS} others wait for the subscribers`);
    const { promise, resolve } = Promise.withResolvers<void>();
    const toldToAll = (): void => {
      this.#tellings.delete(key);
      resolve();
    };
    this.#tellings.set(key, promise);
    this.#queue(announcement, toldToAll);
    this.wake();
    return promise;
  }

  /** Puts an announcement behind all that wait, for every subscriber. */
  #queue(announcement: Announcement, toldToAll: () => void): Pending {
    const pending: Pending = { announcement, toldToAll, left: this.#queues.length };
    for (const queue of this.#queues) queue.push(pending);
    return pending;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { subscribers, ready } = this.#o;
    await ready(signal);
    const lanes = subscribers.map((subscriber, index) =>
      this.#lane(subscriber, this.#queues[index] as Pending[], signal),
    );
    try {
      await this.#read(signal);
    } finally {
      this.wake();
      await Promise.all(lanes);
      // What was told in the last moment is not told again by whoever comes next, if the journal still takes it.
      await this.#settle().catch(() => undefined);
      await Promise.all(subscribers.map((subscriber) => subscriber.close()));
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#o;
    while (!signal.aborted) {
      const news = this.#news;
      try {
        await this.#settle();
        await this.#fetch();
      } catch (error) {
        // Who drives the runs ends this process.
        if (error instanceof IncarnationLost) return untilAborted(signal);
        if (!(error instanceof JournalUnavailable)) throw error;
        logger.warn('announcements could not be read or settled, trying again', { error });
        await pause(clock, LOOK_EVERY_MILLIS, signal);
      }
      if (news === this.#news) await this.#woken(LOOK_EVERY_MILLIS, signal);
      await pause(clock, COLLECT_MILLIS, signal);
    }
  }

  async #fetch(): Promise<void> {
    if (this.#pending.size >= WINDOW) return;
    const found = await this.#o.source.unannounced(Math.min(WINDOW, this.#pending.size + READ_AT_ONCE));
    let fresh = 0;
    for (const written of found) {
      if (this.#pending.has(written.receipt)) continue;
      fresh += 1;
      const toldToAll = (): void => void this.#toldToAll.push(written.receipt);
      const pending = this.#queue(written.announcement, toldToAll);
      this.#pending.set(written.receipt, pending);
      if (pending.left === 0) toldToAll();
    }
    if (fresh > 0) this.wake();
  }

  /** Lets the journal forget what was told. */
  async #settle(): Promise<void> {
    // More may be told meanwhile.
    const receipts = [...this.#toldToAll];
    if (receipts.length === 0) return;
    await this.#o.source.announced(receipts);
    this.#toldToAll.splice(0, receipts.length);
    for (const receipt of receipts) this.#pending.delete(receipt);
  }

  /** One subscriber's deliveries, one after the other: so the order of each run's is kept. */
  async #lane(subscriber: Announce, queue: Pending[], signal: AbortSignal): Promise<void> {
    const { clock, logger, metrics } = this.#o;
    const backoff = new Backoff(RETRY);
    while (!signal.aborted) {
      if (queue.length === 0) await this.#woken(LOOK_EVERY_MILLIS, signal);
      const batch = queue.slice(0, BATCH);
      if (batch.length === 0) continue;
      try {
        await subscriber.send(batch.map(({ announcement }) => eventOf(announcement)));
      } catch (error) {
        metrics.told.inc({ subscriber: subscriber.name, outcome: 'Failed' }, batch.length);
        logger.warn('a subscriber did not take announcements, trying again', { subscriber: subscriber.name, error });
        await pause(clock, backoff.next(), signal);
        continue;
      }
      backoff.reset();
      queue.splice(0, batch.length);
      metrics.told.inc({ subscriber: subscriber.name, outcome: 'Told' }, batch.length);
      for (const pending of batch) this.#told(pending);
      this.wake();
    }
  }

  #told(pending: Pending): void {
    pending.left -= 1;
    if (pending.left === 0) pending.toldToAll();
  }

  *#sight(): Iterable<readonly [string, number, number]> {
    const { subscribers, clock } = this.#o;
    for (const [index, { name }] of subscribers.entries()) {
      const queue = this.#queues[index] as Pending[];
      const oldest = queue[0]?.announcement.at;
      yield [name, queue.length, oldest === undefined ? 0 : Math.max(0, (clock.wall() - oldest) / 1000)];
    }
  }

  /** Resolves when somebody calls {@link wake}, after `millis` at the latest. */
  async #woken(millis: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    // No abort signal: each run's end wakes us, and an abort makes an error with a stack.
    const { promise, resolve } = Promise.withResolvers<void>();
    const waker = (): void => resolve();
    const cancel = this.#o.clock.after(millis, waker);
    this.#wakers.add(waker);
    signal.addEventListener('abort', waker, { once: true });
    await promise;
    cancel();
    signal.removeEventListener('abort', waker);
    this.#wakers.delete(waker);
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
