import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import type { FinishedRuns } from '../../journals/kubernetes/finished.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { Runner } from '../../runner/runner.ts';
import type { RunId } from '../../saga/types.ts';
import type { Shard } from '../../sharding/shard.ts';
import type { ShardWork, Taken } from '../../sharding/sharding.ts';
import { idOf } from './run.ts';

export interface RunShardsOptions {
  readonly runs: ReadStore<OrderSagaRun>;
  readonly runner: Runner;
  readonly finished: FinishedRuns;
  readonly shardOf: (id: RunId) => Shard;
  /** Has a run looked at. */
  readonly look: (run: OrderSagaRun) => void;
}

/** What runs do when their shards come and go. */
export class RunShards implements ShardWork {
  readonly #o: RunShardsOptions;

  constructor(options: RunShardsOptions) {
    this.#o = options;
  }

  /** What the last holders have remembered is read before a run of theirs is begun a second time (design rule 1). */
  async prepare(): Promise<void> {
    await this.#o.finished.load();
  }

  opened(taken: readonly Taken[]): void {
    const shards = new Set(taken.map(({ shard }) => shard));
    const isOfThese = this.#isOf(shards);
    for (const run of this.#o.runs.values()) if (isOfThese(idOf(run))) this.#o.look(run);
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
