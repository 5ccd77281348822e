import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { observeRuns } from '../controllers/ordersagarun/observer.ts';
import type { WorkerJournal } from '../journals/worker-journal.ts';
import type { ReadStore } from '../kube/store.ts';
import { traceEnd } from '../runner/trace-end.ts';
import { Definitions } from '../worker/definitions.ts';
import { JournalIntake } from '../worker/journal-intake.ts';
import { workerMetrics } from '../worker/metrics.ts';
import { Worker } from '../worker/worker.ts';
import { addAnnouncer } from './announcements.ts';
import type { Foundation } from './foundation.ts';
import { addIntake } from './intake.ts';
import { makeJournal } from './journals.ts';

/** Runs that live in a journal with workers of its own. */
export interface WorkerRuns {
  readonly journal: WorkerJournal;
  /** Resolves once the journal is open, or at the abort. */
  readonly opened: (signal: AbortSignal) => Promise<void>;
  /** At once: nothing more is sent or written. */
  abandon(): void;
}

/**
 * Adds this process as a worker of the journal, with intake and announcements.
 * @param views objects that show runs of the journal: their Events go to them
 */
export async function addWorkerRuns(
  foundation: Foundation,
  views: Pick<ReadStore<OrderSagaRun>, 'get'>,
): Promise<WorkerRuns> {
  const { options, manager, sagas, declared, clock, logger, metrics, recorder, sight } = foundation;
  const { journal, fenceMillis } = await makeJournal(
    options,
    {
      ended: ({ namespace, saga }, outcome) => definitions.keptFor(namespace, saga, outcome),
      remembered: options.rememberOrdersMs,
    },
    clock,
  );
  const definitions: Definitions = new Definitions({ sagas, participants: declared, journal });
  const told = observeRuns({
    runs: views,
    recorder,
    metrics: foundation.runMetrics,
    logger,
    clock,
    ended: () => undefined,
    left: () => undefined,
    parted: () => undefined,
  });
  const worker: Worker = new Worker({
    journal,
    participants: foundation.participants,
    definitions,
    observer: {
      ...told,
      ended: (id, state) => {
        traceEnd(foundation.tracing, id, state, worker.runner.find(id)?.traceparent);
        told.ended?.(id, state);
      },
      transitioned: (id, before, after, event, effects) => {
        told.transitioned?.(id, before, after, event, effects);
        if (after.ended !== undefined || before.hold?.id !== after.hold?.id) announcer.wake();
      },
    },
    clock,
    logger,
    maxInWork: options.maxInWork,
    ...(fenceMillis === undefined ? {} : { fenceMillis }),
    metrics: (seen) => workerMetrics(metrics.registry, seen),
  });
  sight.active = () => worker.active;
  sight.held = () => worker.held;
  manager.add(worker);
  manager.addReadiness('journal', () => worker.mustBeReady());
  const announcer = addAnnouncer(foundation, {
    source: journal,
    ready: (signal) => worker.opened(signal),
    needsLeaderElection: false,
  });
  const intake = new JournalIntake({ worker, journal, definitions, clock, namespaces: options.watchNamespaces });
  addIntake(foundation, intake, announcer);
  return { journal, opened: (signal) => worker.opened(signal), abandon: () => worker.runner.abandon() };
}
