import { Gauge, type Registry } from 'prom-client';
import { findCondition } from '../../api/conditions.ts';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { WallMillis } from '../../saga/types.ts';
import { outcomeOf } from './run.ts';

/** What stands still among a saga's runs. Ages are in seconds. */
export interface Standing {
  readonly namespace: string;
  readonly saga: string;
  /** How long the run that waits longest for a decision has waited; 0 if none does. */
  readonly oldestHold: number;
  /** Runs past their pivot and past their deadline that have not ended. */
  readonly overdue: number;
  /** How long ago the run was deleted that was deleted first and is still there; 0 if none is. */
  readonly oldestDeletion: number;
}

/** What stands still, by saga; for every saga that has a run, so that a series says 0 and does not just end. */
export function standingRuns(runs: Iterable<OrderSagaRun>, now: WallMillis): Standing[] {
  const sagas = new Map<string, { -readonly [Field in keyof Standing]: Standing[Field] }>();
  for (const run of runs) {
    const { namespace = '', deletionTimestamp } = run.metadata;
    const saga = run.spec.sagaRef.name;
    let standing = sagas.get(`${namespace}/${saga}`);
    if (standing === undefined) {
      standing = { namespace, saga, oldestHold: 0, overdue: 0, oldestDeletion: 0 };
      sagas.set(`${namespace}/${saga}`, standing);
    }
    if (deletionTimestamp !== undefined)
      standing.oldestDeletion = Math.max(standing.oldestDeletion, secondsSince(deletionTimestamp, now));
    if (outcomeOf(run) !== undefined) continue;
    const held = findCondition(run.status?.conditions, 'Held');
    if (held?.status === 'True')
      standing.oldestHold = Math.max(standing.oldestHold, secondsSince(held.lastTransitionTime, now));
    if (findCondition(run.status?.conditions, 'Overdue')?.status === 'True') standing.overdue += 1;
  }
  return [...sagas.values()];
}

/** A clock that was set back makes nothing younger than new. */
const secondsSince = (time: string, now: WallMillis): number => Math.max(0, (now - Date.parse(time)) / 1000);

/** Registers what stands still, read from the cache at each scrape: what a person sees with kubectl, and not what this process remembers. */
export function standingMetrics(registry: Registry, runs: ReadStore<OrderSagaRun>, wall: () => WallMillis): void {
  const gauge = (name: string, help: string, read: (standing: Standing) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['namespace', 'saga'],
      registers: [registry],
      collect() {
        this.reset();
        for (const each of standingRuns(runs.values(), wall()))
          this.set({ namespace: each.namespace, saga: each.saga }, read(each));
      },
    });
  };
  gauge(
    'mercato_saga_oldest_hold_seconds',
    'How long the run that waits longest for a decision has waited.',
    ({ oldestHold }) => oldestHold,
  );
  gauge('mercato_saga_runs_overdue', 'Runs past their pivot and their deadline.', ({ overdue }) => overdue);
  gauge(
    'mercato_saga_oldest_deletion_seconds',
    'How long ago the run was deleted that was deleted first and is still there.',
    ({ oldestDeletion }) => oldestDeletion,
  );
}
