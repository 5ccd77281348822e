import { type Condition, setCondition } from '../../api/conditions.ts';
import { type OrderSaga, type OrderSagaStatus, orderSaga, TOP } from '../../api/ordersaga.ts';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import type { Participant } from '../../api/participant.ts';
import type { Journal } from '../../journals/journal.ts';
import type { Cache } from '../../kube/cache.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Fence } from '../../kube/fence.ts';
import { resourceOfKind } from '../../kube/kind.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type Result, requeueAfter } from '../../runtime/result.ts';
import { unlessConflict, writeStatus } from '../status.ts';
import type { Views } from '../view/views.ts';
import { type Acceptance, accept, pausedUntil } from './accept.ts';

/** OrderSagas as the client addresses them. */
export const orderSagas = resourceOfKind(orderSaga);

/** Counts and lists of runs are written at most this often. */
const EVERY_MILLIS = 10_000;

/** An index of runs by saga and phase; a saga without a phase has all its runs. */
export const BY_SAGA = 'saga';

/** What {@link BY_SAGA} files a run under. */
export function sagaKeys(run: OrderSagaRun): string[] {
  if (run.spec.mode === 'View') return [];
  const saga = sagaKey(run.metadata.namespace ?? '', run.spec.sagaRef.name);
  return [saga, `${saga}/${run.status?.phase ?? 'Pending'}`];
}

/** How {@link BY_SAGA} names a saga. */
export function sagaKey(namespace: string, saga: string): string {
  return `${namespace}/${saga}`;
}

export interface OrderSagaControllerOptions {
  readonly client: KubeClient;
  readonly fence: Fence;
  readonly runs: Cache<OrderSagaRun>;
  readonly participants: ReadStore<Participant>;
  readonly journal: Pick<Journal, 'saveRevision'>;
  /** How runs fare that live in a journal outside Kubernetes. @default runs are OrderSagaRuns */
  readonly elsewhere?: Pick<Views, 'populationOf'>;
  readonly clock: Clock;
}

/** How a saga's runs fare, as its status says it. */
export interface Standing {
  /** Neither finished nor held. */
  readonly active: number;
  /** Names, the longest held first; not all of them. */
  readonly heldRuns: string[];
  readonly heldCount: number;
  /** Runs that need a person and do not show as Views, because there are too many. Only of journals outside Kubernetes. */
  readonly excessViews?: number;
}

/** Shows in an OrderSaga's status whether runs may follow it, its current revision, and how its runs fare. */
export class OrderSagaController {
  readonly #o: OrderSagaControllerOptions;

  constructor(options: OrderSagaControllerOptions) {
    this.#o = options;
  }

  async reconcile(saga: OrderSaga): Promise<Result> {
    const { namespace = '', name } = saga.metadata;
    const acceptance = accept(saga, (participant) => this.#o.participants.get(namespace, participant));
    if (acceptance.accepted) await this.#o.journal.saveRevision(namespace, name, acceptance.revision);
    const paused = pausedUntil([saga.spec.pause], this.#o.clock.wall());
    const status = this.#statusOf(saga, acceptance, paused);
    // Somebody's write in between brings it back by its event.
    await writeStatus(this.#o, orderSagas, saga, status).catch(unlessConflict);
    return requeueAfter(paused === undefined ? EVERY_MILLIS : Math.min(EVERY_MILLIS, paused - this.#o.clock.wall()));
  }

  #statusOf(saga: OrderSaga, acceptance: Acceptance, paused: number | undefined): OrderSagaStatus {
    const { namespace = '', name, generation = 0 } = saga.metadata;
    const key = sagaKey(namespace, name);
    const standing = this.#o.elsewhere?.populationOf(namespace, name) ?? this.#inObjects(key);
    return {
      observedGeneration: generation,
      phase: !acceptance.accepted ? 'NotAccepted' : paused === undefined ? 'Ready' : 'Paused',
      conditions: [...this.#conditions(saga, acceptance, paused, generation)],
      ...(acceptance.accepted ? { currentRevision: acceptance.revision.hash } : {}),
      ...standing,
      nextAction: narrate(acceptance, paused, standing.heldCount),
    };
  }

  /** Of runs that are objects: those that are kept. */
  #inObjects(key: string): Standing & Pick<OrderSagaStatus, 'counts'> {
    const count = (phase: string): number => this.#o.runs.countByIndex(BY_SAGA, `${key}/${phase}`);
    const held = this.#o.runs
      .byIndex(BY_SAGA, `${key}/Held`)
      .map(({ metadata }) => metadata)
      .sort(
        (a, b) => (a.creationTimestamp ?? '').localeCompare(b.creationTimestamp ?? '') || a.name.localeCompare(b.name),
      );
    return {
      active: count('Pending') + count('Running') + count('Compensating'),
      counts: {
        succeeded: count('Succeeded'),
        compensated: count('Compensated'),
        held: held.length,
        aborted: count('Aborted'),
      },
      heldRuns: held.slice(0, TOP).map((run) => run.name),
      heldCount: held.length,
    };
  }

  #conditions(
    saga: OrderSaga,
    acceptance: Acceptance,
    paused: number | undefined,
    observedGeneration: number,
  ): readonly Condition[] {
    const now = new Date(this.#o.clock.wall()).toISOString();
    const verdict = acceptance.accepted
      ? ({
          status: 'True',
          reason: 'Accepted',
          message: `runs begin with revision ${acceptance.revision.hash}`,
        } as const)
      : ({ status: 'False', reason: acceptance.reason, message: acceptance.message } as const);
    const accepted = setCondition(saga.status?.conditions, { type: 'Ready', observedGeneration, ...verdict }, now);
    const pause = paused === undefined ? undefined : new Date(paused).toISOString();
    return setCondition(
      accepted,
      {
        type: 'Paused',
        status: pause === undefined ? 'False' : 'True',
        reason: pause === undefined ? 'NotPaused' : 'PauseAsked',
        message: pause === undefined ? 'runs go on' : `until ${pause}: ${saga.spec.pause?.reason ?? ''}`,
        observedGeneration,
      },
      now,
    );
  }
}

function narrate(acceptance: Acceptance, paused: number | undefined, held: number): string {
  if (!acceptance.accepted) return `nothing begins until this is put right: ${acceptance.message}`.slice(0, 256);
  if (paused !== undefined) return `runs go on at ${new Date(paused).toISOString()}`;
  return held === 0 ? 'runs begin as they come' : `${held} held runs wait for a decision`;
}
