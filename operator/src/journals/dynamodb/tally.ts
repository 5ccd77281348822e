import type { Clock } from '../../runtime/clock.ts';
import type { Counts } from './book.ts';
import { type Incarnation, type Item, idOf, lifeShardAt, textOf } from './keys.ts';
import type { Life } from './lives.ts';
import { standingOf } from './record.ts';
import type { Store } from './store.ts';
import { INDEX, LIFE_SHARDS } from './table.ts';

/** A dead life of which nothing was left is asked for again after this long: an index may be late. */
const EMPTY_FOR_MILLIS = 30_000;

/**
 * Adds up open runs. A living worker's beat says how many it drives. What a dead one left is counted from the keys of an index, for the seconds until it
 * is claimed: only that grows with the number of runs.
 */
export class Tally {
  readonly #store: Store;
  readonly #clock: Clock;
  /** When nothing was found of a dead life. */
  readonly #empty = new Map<Incarnation, number>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async sum(own: Counts, others: readonly Life[]): Promise<Counts> {
    const sums = new Map(own);
    const counted = await Promise.all(
      others.map((life) => (life.standing === 'Alive' ? life.counts : this.#left(life.incarnation))),
    );
    for (const counts of counted) {
      for (const [saga, { active, held }] of counts) {
        const sum = sums.get(saga) ?? { active: 0, held: 0 };
        sums.set(saga, { active: sum.active + active, held: sum.held + held });
      }
    }
    return sums;
  }

  async #left(incarnation: Incarnation): Promise<Counts> {
    const now = this.#clock.monotonic();
    const sums = new Map<string, { active: number; held: number }>();
    if (now - (this.#empty.get(incarnation) ?? Number.NEGATIVE_INFINITY) < EMPTY_FOR_MILLIS) return sums;
    for (let shard = 0; shard < LIFE_SHARDS; shard++) {
      for (let next: Item | undefined, first = true; first || next !== undefined; first = false) {
        const of = ['ownerShard', lifeShardAt(incarnation, shard)] as const;
        const page = await this.#store.query({ index: INDEX.owner, of, after: next });
        for (const item of page.items) count(sums, item);
        next = page.next;
      }
    }
    if (sums.size === 0) this.#empty.set(incarnation, now);
    else this.#empty.delete(incarnation);
    return sums;
  }
}

function count(sums: Map<string, { active: number; held: number }>, item: Item): void {
  const { namespace, saga } = idOf(item);
  const sum = sums.get(`${namespace}/${saga}`) ?? { active: 0, held: 0 };
  sum[textOf(item, 'standing') === standingOf(true) ? 'held' : 'active'] += 1;
  sums.set(`${namespace}/${saga}`, sum);
}
