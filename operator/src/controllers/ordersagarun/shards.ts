import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { claimsSaid } from '../../journals/kubernetes/codec.ts';
import type { FinishedRuns } from '../../journals/kubernetes/finished.ts';
import { placeOf } from '../../journals/kubernetes/journal.ts';
import type { Cache } from '../../kube/cache.ts';
import { compareVersions } from '../../kube/version.ts';
import { fairly } from '../../runner/fairly.ts';
import type { Runner } from '../../runner/runner.ts';
import { type Clock, pause } from '../../runtime/clock.ts';
import type { RunId } from '../../saga/types.ts';
import type { Written } from '../../sharding/lease.ts';
import type { Shard } from '../../sharding/shard.ts';
import type { ShardWork, Taken } from '../../sharding/sharding.ts';
import { Doubts } from './doubts.ts';
import { idOf } from './run.ts';

/** A watch is milliseconds behind. One that is so long behind is cut; until then, writes that depend on versions keep the past from being written. */
const SIGHT_PATIENCE_MILLIS = 3_000;
/** Of more namespaces, the last holder's writes are not told: an annotation has its bounds. */
const MOST_NAMESPACES = 100;

export interface RunShardsOptions {
  readonly runs: Cache<OrderSagaRun>;
  readonly runner: Runner;
  readonly finished: FinishedRuns;
  readonly shardOf: (id: RunId) => Shard;
  /** Has a run looked at. */
  readonly look: (run: OrderSagaRun) => void;
  readonly clock: Clock;
}

/** What runs do when their shards come and go. */
export class RunShards implements ShardWork {
  readonly #o: RunShardsOptions;
  readonly #written = new Map<Shard, Map<string, string>>();
  /** Shards that a dead holder left. */
  readonly #left = new Map<Shard, Doubts>();

  constructor(options: RunShardsOptions) {
    this.#o = options;
    options.runs.onChange((change) => {
      if (this.#left.size === 0 || change.type === 'deleted') return;
      this.#left.get(options.shardOf(idOf(change.object)))?.heard(change.object);
    });
  }

  /** The journal wrote a run. */
  wrote(run: OrderSagaRun): void {
    const { namespace = '', resourceVersion = '' } = run.metadata;
    const shard = this.#o.shardOf(idOf(run));
    const written = this.#written.get(shard) ?? new Map<string, string>();
    this.#written.set(shard, written);
    const last = written.get(namespace);
    if (last === undefined || compareVersions(resourceVersion, last) > 0) written.set(namespace, resourceVersion);
  }

  /** The runner took a run up: what is not known of it will be durable before the run is released. */
  tookUp(id: RunId): void {
    this.#left.get(this.#o.shardOf(id))?.tookUp(id);
  }

  isTakenUp(shard: Shard): boolean {
    const settled = this.#left.get(shard)?.areSettled((id) => {
      const { namespace, name } = placeOf(id);
      return this.#o.runs.get(namespace, name);
    });
    return settled ?? true;
  }

  writtenOf(shard: Shard): Written {
    return Object.fromEntries([...(this.#written.get(shard) ?? [])].slice(0, MOST_NAMESPACES));
  }

  /**
   * What the last holders have remembered is read before a run of theirs is begun a second time (design rule 1), and the cache has to show what they
   * wrote (rule 10): or the first thing that their runs did here would be done in the past.
   */
  async prepare(taken: readonly Taken[]): Promise<void> {
    for (const { shard } of taken) {
      this.#written.delete(shard);
      this.#left.delete(shard);
    }
    await Promise.all([this.#o.finished.load(), this.#seen(taken.map(({ written }) => written))]);
  }

  /** Resolves once the cache shows these writes. */
  async #seen(writes: readonly Written[]): Promise<void> {
    const { runs, clock } = this.#o;
    const missing = (): boolean =>
      writes.some((written) =>
        Object.entries(written).some(([namespace, version]) => {
          const seen = runs.observedVersion(namespace);
          return seen === undefined || compareVersions(seen, version) < 0;
        }),
      );
    if (!missing()) return;
    const enough = new AbortController();
    const end = runs.onChange(() => {
      if (!missing()) enough.abort();
    });
    await pause(clock, SIGHT_PATIENCE_MILLIS, enough.signal);
    end();
  }

  opened(taken: readonly Taken[]): void {
    const shards = new Set(taken.map(({ shard }) => shard));
    for (const { shard, since, died } of taken) if (died) this.#left.set(shard, new Doubts(since));
    const runs: OrderSagaRun[] = [];
    for (const run of this.#o.runs.values()) {
      const shard = this.#o.shardOf(idOf(run));
      if (!shards.has(shard)) continue;
      this.#left.get(shard)?.found(run);
      runs.push(run);
    }
    for (const run of fairly(runs, ({ status }) => claimsSaid(status))) this.#o.look(run);
  }

  async drain(shards: ReadonlySet<Shard>): Promise<boolean> {
    const isDurable = await this.#o.runner.release(this.#isOf(shards));
    await this.#o.finished.flush();
    return isDurable;
  }

  abandon(shards: ReadonlySet<Shard>): void {
    this.#o.runner.abandon(this.#isOf(shards));
  }

  #isOf(shards: ReadonlySet<Shard>): (id: RunId) => boolean {
    return (id) => shards.has(this.#o.shardOf(id));
  }
}
