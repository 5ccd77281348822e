import type { Clock } from '../../runtime/clock.ts';
import type { Chance } from './chance.ts';
import { type Incarnation, type Item, lifeShardAt } from './keys.ts';
import type { Life } from './lives.ts';
import type { Page, Store } from './store.ts';
import { LIFE_SHARDS } from './table.ts';

/** An index that has what lives left, by life and shard. */
export interface LifeIndex {
  readonly name: string;
  readonly key: string;
  /** The least sort key of a life that matters. @default all matter */
  readonly from?: (life: Life) => readonly [string, number];
}

const FIRST_PAUSE_MILLIS = 500;
const LONGEST_PAUSE_MILLIS = 5 * 60_000;
/**
 * How long a dead life is looked through again after nothing was found: for an index that lags, and for what a worker wrote that did not know yet that it
 * was dead. A request that was signed before is refused by AWS 15 minutes later.
 */
const WATCH_MILLIS = 60 * 60_000;
const PAGE = 100;

/**
 * Looks through what dead lives left in one index, shard by shard in a random order, so that several workers do not come to the same shard at once. An
 * index may be late: a life of which nothing was found is looked through again, after pauses that grow.
 */
export class Sweeps {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #index: LifeIndex;
  readonly #schedules = new Map<Incarnation, Schedule>();

  constructor(store: Store, clock: Clock, chance: Chance, index: LifeIndex) {
    this.#store = store;
    this.#clock = clock;
    this.#chance = chance;
    this.#index = index;
  }

  /**
   * Takes up to `limit` things from lives that are due.
   * @param take makes one thing this worker's; undefined when another was first, or the index is stale
   * @throws what `take` and the questions throw, unless something was taken: that must not be lost
   */
  async run<T>(
    lives: readonly Life[],
    limit: number,
    take: (item: Item, life: Life) => Promise<T | undefined>,
  ): Promise<T[]> {
    const taken: T[] = [];
    try {
      for (const life of this.#shuffled(lives)) {
        const schedule = this.#scheduleOf(life.incarnation);
        if (taken.length >= limit) break;
        if (!schedule.isDue(this.#clock.monotonic())) continue;
        const found = await this.#sweep(life, limit, taken, take);
        if (found !== 'stopped') schedule.swept(found > 0, this.#clock.monotonic());
      }
    } catch (error) {
      if (taken.length === 0) throw error;
    }
    return taken;
  }

  /** Whether nothing was found of a life for so long that nothing can come any more. */
  isOver(incarnation: Incarnation): boolean {
    return this.#schedules.get(incarnation)?.isOver(this.#clock.monotonic()) ?? false;
  }

  forget(incarnation: Incarnation): void {
    this.#schedules.delete(incarnation);
  }

  /** @returns how much the index had, whoever got it; `stopped` at the limit */
  async #sweep<T>(
    life: Life,
    limit: number,
    taken: T[],
    take: (item: Item, life: Life) => Promise<T | undefined>,
  ): Promise<number | 'stopped'> {
    let found = 0;
    for (const shard of this.#shuffled(SHARDS)) {
      for (let next: Item | undefined, first = true; first || next !== undefined; first = false) {
        if (taken.length >= limit) return 'stopped';
        const page: Page = await this.#page(life, shard, Math.min(limit - taken.length, PAGE), next);
        next = page.next;
        found += page.items.length;
        const results = await Promise.allSettled(page.items.map((item) => take(item, life)));
        for (const result of results)
          if (result.status === 'fulfilled' && result.value !== undefined) taken.push(result.value);
        const failed = results.find((result) => result.status === 'rejected');
        if (failed !== undefined) throw failed.reason;
      }
    }
    return found;
  }

  #page(life: Life, shard: number, limit: number, after: Item | undefined): Promise<Page> {
    const { name, key, from } = this.#index;
    const of = [key, lifeShardAt(life.incarnation, shard)] as const;
    return this.#store.query({ index: name, of, limit, after, ...(from === undefined ? {} : { from: from(life) }) });
  }

  #shuffled<T>(all: readonly T[]): T[] {
    const left = [...all];
    for (let last = left.length - 1; last > 0; last--) {
      const other = Math.floor(this.#chance.fraction() * (last + 1));
      [left[last], left[other]] = [left[other] as T, left[last] as T];
    }
    return left;
  }

  #scheduleOf(incarnation: Incarnation): Schedule {
    const schedule = this.#schedules.get(incarnation) ?? new Schedule(this.#clock.monotonic());
    this.#schedules.set(incarnation, schedule);
    return schedule;
  }
}

/** When a life is looked through next. */
class Schedule {
  readonly #since: number;
  #next: number;
  #pause = FIRST_PAUSE_MILLIS;
  #wasEmpty = false;

  constructor(now: number) {
    this.#since = now;
    this.#next = now;
  }

  isDue(now: number): boolean {
    return now >= this.#next;
  }

  swept(foundAny: boolean, now: number): void {
    this.#pause = foundAny ? FIRST_PAUSE_MILLIS : Math.min(this.#pause * 2, LONGEST_PAUSE_MILLIS);
    this.#next = foundAny ? now : now + this.#pause;
    this.#wasEmpty = !foundAny;
  }

  isOver(now: number): boolean {
    return this.#wasEmpty && now - this.#since >= WATCH_MILLIS;
  }
}

const SHARDS = Array.from({ length: LIFE_SHARDS }, (_, shard) => shard);
