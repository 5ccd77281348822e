import { type Tracing, untraced } from '@mercato/tracing';
import { type Foundation, type Leadership, layFoundation } from './composition/foundation.ts';
import { addKinds } from './composition/kinds.ts';
import { addKubernetesRuns } from './composition/kubernetes-runs.ts';
import { addReader } from './composition/reader.ts';
import { addViewRuns } from './composition/view-runs.ts';
import { addViews } from './composition/views.ts';
import { addWorkerRuns } from './composition/worker-runs.ts';
import type { Options } from './options.ts';

/**
 * The operator, put together: one process with the roles that it was given.
 *
 * With the kubernetes journal, runs are divided among the replicas and everything else is the leader's. With a journal of its own, a worker drives runs
 * without a lease, since the journal knows its workers, and controllers are the leader's.
 */
export class Operator {
  readonly #options: Options;
  readonly #tracing: Tracing;

  /** @param tracing closed when the operator has stopped. @default nothing is traced */
  constructor(options: Options, tracing: Tracing = untraced) {
    this.#options = options;
    this.#tracing = tracing;
  }

  /** Runs until `stop` aborts and everything has stopped in order. Rejects with what made it fail (a lost lease among others). */
  async run(stop: AbortSignal): Promise<void> {
    const foundation = layFoundation(this.#options, leadership(this.#options), this.#tracing);
    let abandon: (() => void) | undefined;
    try {
      abandon = await this.#compose(foundation);
      await foundation.manager.run(stop);
    } finally {
      abandon?.();
      for (const close of foundation.closers) await close();
      await foundation.client.transport.close();
    }
  }

  /** @returns what stops runs at once */
  async #compose(foundation: Foundation): Promise<() => void> {
    const { role, journal } = this.#options;
    if (journal === 'kubernetes') {
      const kubernetes = addKubernetesRuns(foundation);
      addKinds(foundation, kubernetes.runs, kubernetes.journal);
      return kubernetes.abandon;
    }
    if (role === 'worker') return (await addWorkerRuns(foundation, { get: () => undefined })).abandon;
    const runs = addViewRuns(foundation, journal);
    const worker = role === 'all' ? await addWorkerRuns(foundation, runs) : undefined;
    const views =
      worker === undefined
        ? addViews(foundation, runs, await addReader(foundation))
        : addViews(foundation, runs, worker.journal, worker.opened);
    // Workers save revisions, each before it is used.
    addKinds(foundation, runs, { saveRevision: async () => undefined }, views);
    return () => worker?.abandon();
  }
}

/** Who does what only one may do (docs/adr/workers.md). */
function leadership({ role, journal }: Options): Leadership {
  if (role === 'worker') return 'Never';
  // Its file is locked. A Lease beside that would end it, and the runs with it, whenever the API server is away for ten seconds.
  return journal === 'sqlite' ? 'Always' : 'Elected';
}
