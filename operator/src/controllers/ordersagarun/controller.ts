import { setCondition } from '../../api/conditions.ts';
import type { OrderSaga } from '../../api/ordersaga.ts';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import type { Participant } from '../../api/participant.ts';
import type { KubernetesAnnouncements } from '../../journals/kubernetes/announcements.ts';
import { decode, encode } from '../../journals/kubernetes/codec.ts';
import type { FinishedRuns, Outcome } from '../../journals/kubernetes/finished.ts';
import { type KubernetesJournal, orderSagaRuns, placeOf } from '../../journals/kubernetes/journal.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isConflict, isNotFound } from '../../kube/errors.ts';
import type { Recorder } from '../../kube/events.ts';
import type { Fence } from '../../kube/fence.ts';
import type { NamespacedName } from '../../kube/key.ts';
import type { ReadStore } from '../../kube/store.ts';
import { compareVersions } from '../../kube/version.ts';
import type { Adoption, Runner } from '../../runner/runner.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ReconcileContext } from '../../runtime/controller.ts';
import { done, type Result, requeueAfter } from '../../runtime/result.ts';
import { begin, transition } from '../../saga/engine.ts';
import type { ActionState, Revision, RunId, RunState } from '../../saga/types.ts';
import type { Shard } from '../../sharding/shard.ts';
import type { Sharding } from '../../sharding/sharding.ts';
import { accept, type Pause, pauseInForce } from '../ordersaga/accept.ts';
import { keptFor } from '../ordersaga/retention.ts';
import { Inheritance } from './inheritance.ts';
import type { Places } from './places.ts';
import { contextOf, FINALIZER, hasFinalizer, idOf, outcomeOf, REVISION_ANNOTATION } from './run.ts';
import { tellTooLate } from './too-late.ts';
import type { Undertow } from './undertow.ts';

/** A run that is being deleted, or waits for a place, is looked at again after this long. */
const LOOK_AGAIN_MILLIS = 2_000;
/** A write takes as long on an API server that is very busy. */
const CLAIM_PATIENCE_MILLIS = 1_000;
/** After this long, a run that has ended is normally remembered. */
const REMEMBERED_MILLIS = 600;

/** What the controller asks of the shards. */
export type Shards = Pick<Sharding, 'of' | 'isOpen' | 'takenOf' | 'during'>;

export interface OrderSagaRunControllerOptions {
  readonly client: KubeClient;
  readonly sagas: ReadStore<OrderSaga>;
  readonly participants: ReadStore<Participant>;
  readonly fence: Fence;
  readonly runner: Runner;
  readonly journal: KubernetesJournal;
  readonly finished: FinishedRuns;
  /** The shards that this replica drives. */
  readonly shards: Shards;
  /** The places that maxActive gives. */
  readonly places: Places;
  readonly undertow: Undertow;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** What subscribers are to be told, where there are any: an object stays until its run's end was told. @default there are none */
  readonly announcements?: KubernetesAnnouncements;
}

/**
 * Brings each OrderSagaRun to the runner, tells the runner what people want of it (decision, pause, deletion), and clears it away once it has ended.
 * What happens in between is the runner's: no reconcile waits for a participant.
 */
export class OrderSagaRunController {
  readonly #o: OrderSagaRunControllerOptions;

  constructor(options: OrderSagaRunControllerOptions) {
    this.#o = options;
  }

  /** One look at a run. The framework's fence has made sure that it shows our last write. A run of another replica's shard is that one's. */
  async reconcile(run: OrderSagaRun, context: ReconcileContext): Promise<Result> {
    // A View is a window: its run lives elsewhere.
    if (run.spec.mode === 'View') return done();
    const id = idOf(run);
    const shard = this.#o.shards.of(id);
    if (!this.#o.shards.isOpen(shard)) return done();
    return this.#o.shards.during(shard, () => this.#look(run, id, shard, context));
  }

  async #look(run: OrderSagaRun, id: RunId, shard: Shard, context: ReconcileContext): Promise<Result> {
    const driven = this.#o.runner.find(id);
    if (driven !== undefined) return this.#steer(run, id, driven.state, driven.durable);
    const outcome = outcomeOf(run);
    if (outcome !== undefined) return this.#clearAway(run, id, outcome);
    const taken = this.#o.shards.takenOf(shard);
    if (taken === undefined) return done();
    return this.#take(run, id, new Inheritance(taken.since, taken.died), context);
  }

  /**
   * An object that is gone. Where the runner still drives its run, someone took the finalizer away: the next write finds that out, and it comes
   * within a second, also for a run that waits for a person.
   */
  vanished({ namespace, name }: NamespacedName): void {
    for (let dash = name.indexOf('-'); dash > 0; dash = name.indexOf('-', dash + 1))
      this.#o.runner.rewrite({ namespace, saga: name.slice(0, dash), orderId: name.slice(dash + 1) });
  }

  /** A run that the runner drives: what do people want of it? */
  async #steer(run: OrderSagaRun, id: RunId, state: RunState, durable: RunState): Promise<Result> {
    const newPause = this.#o.journal.observe(id, run, this.#pauseOf(run));
    this.#compare(run, id, durable);
    const { decision } = run.spec;
    const settled =
      state.observedDecision?.holdId === decision?.holdId && state.observedDecision?.outcome === 'Accepted';
    if (decision !== undefined && !settled) this.#o.runner.tell(id, { type: 'Decided', decision: decision as never });
    const again = this.#pause(run, id, state);
    // Whoever changed the spec waits to see that we looked at it, even where it changes nothing; and a pause that was made longer is to be read.
    const seen = run.status?.observedGeneration;
    const unseen = seen !== undefined && seen !== run.metadata.generation;
    if (unseen || (newPause && state.paused)) this.#o.runner.rewrite(id);
    if (unseen && settled && decision?.do !== state.observedDecision?.do)
      tellTooLate(this.#o.recorder, run, state.observedDecision?.do);
    if (run.metadata.deletionTimestamp !== undefined) return this.#deleting(id, state);
    const revision = this.#o.runner.find(id)?.revision;
    if (!hasFinalizer(run) && revision !== undefined) await this.#addFinalizer(run, revision);
    return again;
  }

  /** Has anybody but the runner written the status? What the runner holds in memory is the truth, and a person is to look at who did. */
  #compare(run: OrderSagaRun, id: RunId, durable: RunState): void {
    const [seen, ours] = [run.metadata.resourceVersion, this.#o.runner.find(id)?.version];
    if (seen === undefined || ours === undefined || compareVersions(seen, ours) <= 0) return;
    if (run.status?.checksum === encode(id, durable).checksum) {
      this.#o.runner.newVersion(id, seen);
    }
    const found = decode(id, run.status);
    // A backup was restored over it: nobody could see where the run is, nor decide a hold.
    if (found === undefined) this.#o.runner.rewrite(id);
    else if ('damaged' in found) this.#o.runner.tell(id, { type: 'Damaged', message: found.damaged });
  }

  #pause(run: OrderSagaRun, id: RunId, state: RunState): Result {
    const wall = this.#o.clock.wall();
    const pause = this.#pauseOf(run);
    if (state.paused !== (pause !== undefined))
      this.#o.runner.tell(id, { type: pause === undefined ? 'Resumed' : 'Paused' });
    return pause === undefined ? done() : requeueAfter(Math.max(0, Date.parse(pause.until) - wall));
  }

  #pauseOf(run: OrderSagaRun): Pause | undefined {
    const saga = this.#o.sagas.get(run.metadata.namespace ?? '', run.spec.sagaRef.name);
    return pauseInForce([saga?.spec.pause, run.spec.pause], this.#o.clock.wall());
  }

  /** Design rule 8: before the pivot it compensates first, after it, it finishes forward; where it cannot be kept, it is let go. */
  async #deleting(id: RunId, state: RunState): Promise<Result> {
    const reason = await this.#o.undertow.reasonToLetGo(id.namespace);
    if (reason !== undefined) this.#o.runner.tell(id, { type: 'LetGo', reason });
    else if (state.cancel === undefined)
      this.#o.runner.tell(id, { type: 'Cancelled', reason: 'its object was deleted' });
    return requeueAfter(LOOK_AGAIN_MILLIS);
  }

  /** A run that nobody here drives yet, and that has not ended. */
  async #take(run: OrderSagaRun, id: RunId, inheritance: Inheritance, context: ReconcileContext): Promise<Result> {
    const ended = this.#o.finished.outcomeOf(id);
    if (ended !== undefined) return this.#recall(run, id, ended);
    const found = decode(id, run.status);
    if (found !== undefined && 'newer' in found)
      return this.#refuse(run, id, { reason: 'JournalTooNew', message: found.newer }, false);
    // Nobody has begun it, and nobody will: whatever still keeps its object is not ours.
    if (found === undefined && run.metadata.deletionTimestamp !== undefined && !hasFinalizer(run)) return done();
    const saga = this.#o.sagas.get(id.namespace, id.saga);
    const hash = found === undefined ? run.metadata.annotations?.[REVISION_ANNOTATION] : run.status?.revision;
    const isBelieved = found !== undefined && 'state' in found;
    const verdict = await this.#revisionFor(id, saga, hash, isBelieved);
    if ('reason' in verdict) return this.#refuse(run, id, verdict, found === undefined);
    // What another worker may have begun with has its place already.
    if (found === undefined && !inheritance.includes(run) && this.#o.places.isFull(run, saga?.spec.maxActive))
      return this.#wait(run, id, saga);
    return this.#begin(run, id, verdict.revision, found, inheritance, context);
  }

  async #begin(
    run: OrderSagaRun,
    id: RunId,
    revision: Revision,
    found: Exclude<ReturnType<typeof decode>, { readonly newer: string }>,
    inheritance: Inheritance,
    context: ReconcileContext,
  ): Promise<Result> {
    const give = this.#o.places.take(id);
    let adopted: Promise<void>;
    try {
      await this.#o.journal.saveRevision(id.namespace, id.saga, revision);
      const version = hasFinalizer(run) ? run.metadata.resourceVersion : await this.#addFinalizer(run, revision);
      if (version === undefined) return done();
      this.#o.journal.observe(id, run, this.#pauseOf(run));
      context.logger.debug('taken', { revision: revision.hash });
      const from = this.#origin(run, found, inheritance);
      const paused = this.#pauseOf(run) !== undefined;
      adopted = this.#o.runner.adopt({ context: contextOf(run), revision, version, from, paused });
    } finally {
      // From here on the runner counts it.
      give();
    }
    await this.#atMost(CLAIM_PATIENCE_MILLIS, adopted);
    const driven = this.#o.runner.find(id);
    return driven === undefined ? done() : this.#steer(run, id, driven.state, driven.durable);
  }

  /** Waits for something, but not for ever: a run whose journal cannot be written must not keep a worker. */
  #atMost(millis: number, something: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#o.clock.after(millis, resolve);
      void something.then(() => [cancel(), resolve()]);
    });
  }

  #origin(
    run: OrderSagaRun,
    found: Exclude<ReturnType<typeof decode>, { readonly newer: string }>,
    inheritance: Inheritance,
  ): Adoption['from'] {
    if (found !== undefined && 'damaged' in found) return { type: 'Damaged', message: found.damaged };
    const state = found?.state;
    // Whoever drives a run puts the finalizer on it first. A run that came with one has had another life, as far as anyone knows: a worker that
    // died in its first second, or one that a backup has no status of.
    if (state === undefined && !hasFinalizer(run)) return { type: 'New' };
    return { type: 'TakenOver', state, died: inheritance.died && (state !== undefined || inheritance.includes(run)) };
  }

  /** The revision to follow: the one that the run began with, or the definition's current one; also where an edited status names none that there is. */
  async #revisionFor(
    id: RunId,
    saga: OrderSaga | undefined,
    hash: string | undefined,
    isBelieved: boolean,
  ): Promise<{ revision: Revision } | Refusal> {
    if (hash !== undefined && hash !== '') {
      const revision = await this.#o.journal.loadRevision(id.namespace, id.saga, hash);
      if (revision !== undefined) return { revision };
    }
    if (saga === undefined) {
      return {
        reason: 'SagaNotFound',
        message: `there is no OrderSaga ${id.saga} in namespace ${id.namespace}: apply it, and the run begins`,
      };
    }
    const acceptance = accept(saga, (name) => this.#o.participants.get(id.namespace, name));
    if (!acceptance.accepted)
      return { reason: 'SagaNotAccepted', message: `OrderSaga ${id.saga}: ${acceptance.message}` };
    if (!isBelieved || hash === undefined || hash === '' || hash === acceptance.revision.hash) return acceptance;
    return {
      reason: 'RevisionNotFound',
      message: `the run began with revision ${hash}, whose ControllerRevision ${id.saga}-${hash} is gone: restore it from a backup, and the run goes on`,
    };
  }

  /** Says why a run cannot be driven. One that never began and is being deleted needs no more. */
  async #refuse(run: OrderSagaRun, id: RunId, refusal: Refusal, neverBegan: boolean): Promise<Result> {
    if (run.metadata.deletionTimestamp === undefined) {
      await this.#setAccepted(run, refusal);
      return requeueAfter(LOOK_AGAIN_MILLIS * 5);
    }
    if (neverBegan) {
      // With our finalizer somebody may have driven it; what that did, nobody can tell any more.
      if (hasFinalizer(run)) await this.#recordLetGo(id, '-', 'Unknown', `${refusal.message}; its status is lost`);
      await this.#removeFinalizer(run);
      return done();
    }
    if ((await this.#o.undertow.reasonToLetGo(id.namespace)) !== undefined) {
      const found = decode(id, run.status);
      const steps = found !== undefined && 'state' in found ? found.state.steps : [];
      for (const { name, action } of steps)
        if (action.state !== 'Pending' && action.state !== 'Failed')
          await this.#recordLetGo(id, name, action.state, refusal.message);
      await this.#removeFinalizer(run);
      return done();
    }
    await this.#setAccepted(run, refusal);
    return requeueAfter(LOOK_AGAIN_MILLIS * 5);
  }

  async #recordLetGo(id: RunId, step: string, state: ActionState, reason: string): Promise<void> {
    const entry = { decision: 'LetGo', kind: 'action', step, state, by: 'mercato-operator', reason } as const;
    await this.#o.journal.recordException(id, entry, this.#o.clock.wall());
  }

  async #setAccepted(run: OrderSagaRun, { reason, message }: Refusal): Promise<void> {
    const generation = run.metadata.generation ?? 0;
    const now = new Date(this.#o.clock.wall()).toISOString();
    const observed = { type: 'Accepted', status: 'False', reason, message, observedGeneration: generation } as const;
    const conditions = setCondition(run.status?.conditions, observed, now);
    if (conditions === run.status?.conditions) return;
    const status = {
      conditions: [...conditions],
      phase: run.status?.phase ?? ('Pending' as const),
      nextAction: message.slice(0, 256),
    };
    const version = run.metadata.resourceVersion ?? '';
    // Somebody else's write in between brings the key back by its event.
    await this.#o.client
      .patchStatus<OrderSagaRun>(orderSagaRuns, placeOf(idOf(run)), { status }, { resourceVersion: version })
      .catch(ignoreChanged);
    this.#o.recorder.event(run, { type: 'Warning', reason, action: 'Accept', note: message });
  }

  async #wait(run: OrderSagaRun, id: RunId, saga: OrderSaga | undefined): Promise<Result> {
    this.#o.places.wait(id, run.metadata.name);
    const nextAction = `it begins when fewer than ${saga?.spec.maxActive} runs of ${saga?.metadata.name} are active (maxActive)`;
    if (run.status?.nextAction !== nextAction) {
      const status = { phase: 'Pending' as const, nextAction };
      const version = run.metadata.resourceVersion ?? '';
      await this.#o.client
        .patchStatus<OrderSagaRun>(orderSagaRuns, placeOf(idOf(run)), { status }, { resourceVersion: version })
        .catch(ignoreChanged);
    }
    return requeueAfter(LOOK_AGAIN_MILLIS);
  }

  /** Design rule 1: the run has ended before, and its object came back without its status. Nothing is done a second time. */
  async #recall(run: OrderSagaRun, id: RunId, outcome: Outcome): Promise<Result> {
    const wall = this.#o.clock.wall();
    const blank = begin({ hash: '', steps: [], deadline: 0, onStepFailure: 'Hold' }, wall);
    const message = `order ${id.orderId} has ${outcome.toLowerCase()} before; it is not carried out again`;
    const state: RunState = {
      ...blank,
      ended: outcome,
      finishedAt: wall,
      cause: { reason: 'FinishedBefore', message },
    };
    this.#o.journal.observe(id, run);
    await this.#o.journal.write(id, state, run.metadata.resourceVersion ?? '');
    this.#o.journal.forget(id);
    this.#o.recorder.event(run, { type: 'Warning', reason: 'FinishedBefore', action: 'Recall', note: message });
    return done();
  }

  /** A run that has ended: remember its order, then let the object go when it is deleted or its time is over. */
  async #clearAway(run: OrderSagaRun, id: RunId, outcome: Outcome): Promise<Result> {
    // No worker waits for a write that many runs share; how long it takes to see that it failed does not matter here.
    if (!this.#o.finished.isRemembered(id)) {
      this.#o.finished.note(id, outcome);
      await this.#refuseLateDecision(run, id);
      return requeueAfter(REMEMBERED_MILLIS);
    }
    if (!(await this.#isTold(run, id))) return requeueAfter(REMEMBERED_MILLIS);
    for (const entry of run.status?.givenUp ?? []) {
      await this.#o.journal.recordException(id, entry as never, Date.parse(run.status?.finishedAt ?? ''));
    }
    if (run.metadata.deletionTimestamp !== undefined) {
      await this.#removeFinalizer(run);
      this.#o.announcements?.forget(id);
      return done();
    }
    await this.#refuseLateDecision(run, id);
    const left = this.#timeLeft(run, outcome);
    if (left > 0) return requeueAfter(left);
    await this.#removeFinalizer(run);
    const { uid = '' } = run.metadata;
    await this.#o.client.delete(orderSagaRuns, placeOf(id), { uid }).catch(ignoreChanged);
    this.#o.announcements?.forget(id);
    return done();
  }

  /** After a take-over nobody knows whether the run's end was told, so it is told again. */
  async #isTold(run: OrderSagaRun, id: RunId): Promise<boolean> {
    const { announcements, journal } = this.#o;
    if (announcements === undefined) return true;
    const end = announcements.endOf(id);
    if (end !== 'Unknown') return end === 'Told';
    const found = await journal.read(id);
    journal.forget(id);
    if (found !== undefined && 'state' in found && found.state?.ended !== undefined) {
      announcements.note(id, found.state, contextOf(run).traceparent);
      await this.#refuseLateDecision(run, id);
      return false;
    }
    announcements.settle(id);
    return true;
  }

  async #refuseLateDecision(run: OrderSagaRun, id: RunId): Promise<void> {
    const { decision } = run.spec;
    if (decision === undefined || run.status?.observedDecision?.holdId === decision.holdId) return;
    const found = await this.#o.journal.read(id);
    if (found === undefined || !('state' in found) || found.state === undefined) return;
    const revision = { hash: found.state.revision, steps: [], deadline: 0, onStepFailure: 'Hold' } as const;
    const now = { wall: this.#o.clock.wall(), elapsed: 0 };
    const made = transition(
      revision,
      contextOf(run),
      found.state,
      { type: 'Decided', decision: decision as never },
      now,
    );
    if (made.durability !== 'none') await this.#o.journal.write(id, made.state, found.version);
    this.#o.journal.forget(id);
  }

  #timeLeft(run: OrderSagaRun, outcome: Outcome): number {
    const saga = this.#o.sagas.get(run.metadata.namespace ?? '', run.spec.sagaRef.name);
    return Date.parse(run.status?.finishedAt ?? '') + keptFor(saga, outcome) - this.#o.clock.wall();
  }

  /** @returns the object's new version; undefined when it changed in the meantime: its event brings it back. */
  async #addFinalizer(run: OrderSagaRun, { hash }: Revision): Promise<string | undefined> {
    if (run.metadata.deletionTimestamp !== undefined) return run.metadata.resourceVersion;
    const finalizers = [...(run.metadata.finalizers ?? []), FINALIZER];
    return this.#patchMetadata(run, { finalizers, annotations: { [REVISION_ANNOTATION]: hash } });
  }

  async #removeFinalizer(run: OrderSagaRun): Promise<void> {
    if (!hasFinalizer(run)) return;
    const rest = (run.metadata.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
    await this.#patchMetadata(run, { finalizers: rest });
  }

  async #patchMetadata(
    run: OrderSagaRun,
    metadata: Pick<OrderSagaRun['metadata'], 'finalizers' | 'annotations'>,
  ): Promise<string | undefined> {
    const { resourceVersion = '' } = run.metadata;
    try {
      const answer = await this.#o.client.patch<OrderSagaRun>(
        orderSagaRuns,
        placeOf(idOf(run)),
        { metadata },
        { resourceVersion },
      );
      this.#o.fence.wrote(answer);
      return answer.metadata.resourceVersion;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return undefined;
      throw error;
    }
  }
}

interface Refusal {
  readonly reason: 'SagaNotFound' | 'SagaNotAccepted' | 'RevisionNotFound' | 'JournalTooNew';
  readonly message: string;
}

/** Another write came first, or the object is gone: its event brings the key back. */
function ignoreChanged(error: unknown): void {
  if (!isConflict(error) && !isNotFound(error)) throw error;
}
