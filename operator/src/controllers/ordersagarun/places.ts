import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import type { NamespacedName } from '../../kube/key.ts';
import type { Change, ReadStore } from '../../kube/store.ts';
import type { RunId } from '../../saga/types.ts';
import type { Shard } from '../../sharding/shard.ts';
import { sagaKey } from '../ordersaga/controller.ts';
import { hasFinalizer, idOf, outcomeOf } from './run.ts';

/** An index of runs that have not ended, by saga, standing and shard. */
export const BY_STANDING = 'standing';

/** After this long the shards' shares of a limit that does not divide evenly go round, so that a replica without a share gets its turn. */
const SHARES_GO_ROUND_MILLIS = 10_000;

/** How a run stands towards maxActive: it waits to begin, takes a place, or is held and takes none. */
type RunStanding = 'Waiting' | 'Active' | 'Held';

function standingOf(run: OrderSagaRun): RunStanding | undefined {
  if (run.spec.mode === 'View' || outcomeOf(run) !== undefined) return undefined;
  const phase = run.status?.phase ?? 'Pending';
  if (phase === 'Running' || phase === 'Compensating') return 'Active';
  if (phase === 'Held') return 'Held';
  if (phase !== 'Pending') return undefined;
  // Whoever begins a run puts its finalizer on first: others know a second before its status says so.
  if (hasFinalizer(run)) return 'Active';
  return run.metadata.deletionTimestamp === undefined ? 'Waiting' : undefined;
}

const standingKey = (saga: string, standing: RunStanding, shard: Shard): string => `${saga} ${standing} ${shard}`;

/** What {@link BY_STANDING} files a run under. @param shardOf the shard of a run */
export function standingKeys(shardOf: (id: RunId) => Shard): (run: OrderSagaRun) => string[] {
  return (run) => {
    const standing = standingOf(run);
    if (standing === undefined) return [];
    const id = idOf(run);
    return [standingKey(sagaKey(id.namespace, id.saga), standing, shardOf(id))];
  };
}

export interface PlacesOptions {
  /** Indexed by {@link BY_STANDING}. */
  readonly runs: ReadStore<OrderSagaRun>;
  /** How many runs of a saga this replica drives, held ones included. */
  readonly driven: (namespace: string, saga: string) => number;
  /** How many shards there are. */
  readonly shards: number;
  /** Whether a shard is this replica's. */
  readonly isOurs: (shard: Shard) => boolean;
  /** Unix milliseconds. */
  readonly wall: () => number;
}

/**
 * The places that maxActive gives to a saga's runs, over all replicas. A held run takes none: it would keep the others waiting for a person.
 *
 * Each replica has a share of the places, by the shards that it holds; shares add up to maxActive. A run begins when fewer than maxActive are active as
 * far as this replica sees, and its replica's share is not used up. Beyond the share it begins when it has been shown to all that it waits, and no run
 * of another replica does. What others began in the last moment is not seen yet: so at most, and for as long as a watch is late, maxActive is exceeded
 * by the shares of the others.
 */
export class Places {
  readonly #o: PlacesOptions;
  /** Runs on their way to the runner, by saga: several are looked at at once, and each takes a place. */
  readonly #starting = new Map<string, number>();
  /** Runs of our shards that wait, by saga, in the order of their coming. */
  readonly #waiting = new Map<string, Set<string>>();

  constructor(options: PlacesOptions) {
    this.#o = options;
  }

  /** Whether a run has to wait. @param limit maxActive of its saga; undefined for none */
  isFull(run: OrderSagaRun, limit: number | undefined): boolean {
    if (limit === undefined) return false;
    const { namespace, saga } = idOf(run);
    const key = sagaKey(namespace, saga);
    const held = this.#count(key, 'Held', true);
    // After a take-over the cache knows of runs that have yet to come to the runner; otherwise the runner knows more.
    const known = Math.max(this.#o.driven(namespace, saga), this.#count(key, 'Active', true) + held);
    const ours = known - held + (this.#starting.get(key) ?? 0);
    if (ours + this.#count(key, 'Active', false) >= limit) return true;
    if (ours < this.#shareOf(limit)) return false;
    const isShownToWait = run.status?.phase === 'Pending';
    return !isShownToWait || this.#count(key, 'Waiting', false) > 0;
  }

  /** A run of this saga is on its way to the runner. @returns what gives the place back: the runner counts it by then, or it did not begin */
  take({ namespace, saga }: RunId): () => void {
    const key = sagaKey(namespace, saga);
    const add = (change: 1 | -1): void => {
      const count = (this.#starting.get(key) ?? 0) + change;
      if (count === 0) this.#starting.delete(key);
      else this.#starting.set(key, count);
    };
    add(1);
    return () => add(-1);
  }

  /** A run waits for a place. @param name of its object */
  wait({ namespace, saga }: RunId, name: string): void {
    const key = sagaKey(namespace, saga);
    this.#waiting.set(key, (this.#waiting.get(key) ?? new Set()).add(name));
  }

  /** A place of this saga came free: @returns the run to look at now, the one that waits longest */
  next({ namespace, saga }: Pick<RunId, 'namespace' | 'saga'>): NamespacedName | undefined {
    const waiting = this.#waiting.get(sagaKey(namespace, saga));
    const name = waiting?.values().next().value;
    if (waiting === undefined || name === undefined) return undefined;
    waiting.delete(name);
    if (waiting.size === 0) this.#waiting.delete(sagaKey(namespace, saga));
    return { namespace, name };
  }

  /** Runs changed in the cache: @returns the run to look at now where another replica gave a place back */
  freedBy(change: Change<OrderSagaRun>): NamespacedName | undefined {
    if (change.type === 'added' || this.#waiting.size === 0) return undefined;
    if (standingOf(change.old) !== 'Active') return undefined;
    if (change.type === 'updated' && standingOf(change.object) === 'Active') return undefined;
    return this.next(idOf(change.old));
  }

  #count(saga: string, standing: RunStanding, ours: boolean): number {
    let count = 0;
    for (let shard = 0; shard < this.#o.shards; shard++)
      if (this.#o.isOurs(shard) === ours)
        count += this.#o.runs.countByIndex(BY_STANDING, standingKey(saga, standing, shard));
    return count;
  }

  /** Our shards' part of a limit; the parts of all shards are the limit. */
  #shareOf(limit: number): number {
    const { shards } = this.#o;
    const round = Math.floor(this.#o.wall() / SHARES_GO_ROUND_MILLIS);
    let share = 0;
    for (let shard = 0; shard < shards; shard++) {
      const turn = (shard + round) % shards;
      if (this.#o.isOurs(shard))
        share += Math.floor(((turn + 1) * limit) / shards) - Math.floor((turn * limit) / shards);
    }
    return share;
  }
}
