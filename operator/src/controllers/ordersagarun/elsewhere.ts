import { setCondition } from '../../api/conditions.ts';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { decode } from '../../journals/kubernetes/codec.ts';
import { orderSagaRuns, placeOf } from '../../journals/kubernetes/journal.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Recorder } from '../../kube/events.ts';
import type { Fence } from '../../kube/fence.ts';
import type { Clock } from '../../runtime/clock.ts';
import { done, type Result } from '../../runtime/result.ts';
import { unlessConflict } from '../status.ts';
import { idOf, outcomeOf } from './run.ts';

export interface ElsewhereControllerOptions {
  readonly client: KubeClient;
  readonly fence: Fence;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** The journal that this operator's runs live in, as its flag says it. */
  readonly journal: 'sqlite' | 'dynamodb';
}

/**
 * Says of OrderSagaRuns of mode Execute, where runs live in another journal, that nobody drives them and what to do: such an object is either one that was
 * applied out of habit, or a run that the kubernetes journal had begun before the journal was switched under it. It is left as it is, finalizer included.
 */
export class ElsewhereController {
  readonly #o: ElsewhereControllerOptions;

  constructor(options: ElsewhereControllerOptions) {
    this.#o = options;
  }

  async reconcile(run: OrderSagaRun): Promise<Result> {
    if (run.spec.mode === 'View' || outcomeOf(run) !== undefined) return done();
    const hasBegun = decode(idOf(run), run.status) !== undefined;
    const message = hasBegun
      ? `it was begun with the kubernetes journal, and runs now live in ${this.#o.journal}: let an operator with --journal=kubernetes end it`
      : `runs live in ${this.#o.journal}: give its order to intake (POST /events), or delete it`;
    const generation = run.metadata.generation ?? 0;
    const now = new Date(this.#o.clock.wall()).toISOString();
    const verdict = { type: 'Accepted', status: 'False', reason: 'JournalElsewhere', message } as const;
    const conditions = setCondition(run.status?.conditions, { ...verdict, observedGeneration: generation }, now);
    if (conditions === run.status?.conditions) return done();
    const status = {
      conditions: [...conditions],
      phase: run.status?.phase ?? ('Pending' as const),
      nextAction: message,
    };
    const version = run.metadata.resourceVersion ?? '';
    await this.#o.client
      .patchStatus<OrderSagaRun>(orderSagaRuns, placeOf(idOf(run)), { status }, { resourceVersion: version })
      .then((answer) => this.#o.fence.wrote(answer))
      // Somebody's write in between brings it back by its event.
      .catch(unlessConflict);
    this.#o.recorder.event(run, { type: 'Warning', reason: 'JournalElsewhere', action: 'Accept', note: message });
    return done();
  }
}
