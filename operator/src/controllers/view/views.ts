import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '../../api/kind.ts';
import { TOP } from '../../api/ordersaga.ts';
import type { OrderSagaRun, OrderSagaRunStatus } from '../../api/ordersagarun.ts';
import type { JournalRecord } from '../../journals/journal.ts';
import { recordException } from '../../journals/kubernetes/exceptions.ts';
import { orderSagaRuns, placeOf } from '../../journals/kubernetes/journal.ts';
import type { Mail, RunSight, WorkerJournal } from '../../journals/worker-journal.ts';
import type { DeepPartial, KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import type { Recorder } from '../../kube/events.ts';
import type { ReadStore } from '../../kube/store.ts';
import { type Clock, pause } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Runnable } from '../../runtime/manager.ts';
import { REVISIONS_KEPT, Recent } from '../../runtime/recent.ts';
import { runKey } from '../../saga/command.ts';
import type { Revision, RunId, RunState } from '../../saga/types.ts';
import { type Standing, sagaKey } from '../ordersaga/controller.ts';
import { idOf } from '../ordersagarun/run.ts';
import { tellTooLate } from '../ordersagarun/too-late.ts';
import type { ViewMetrics } from './metrics.ts';
import { askedShare, type KeptView, select, type ViewLimits } from './selection.ts';
import { closedStatus, type Undelivered, viewStatus } from './status.ts';

/** On a View that its run's need of a person made, and not a person. */
export const VIEW_LABEL = 'mercato.dev/view';
const ATTENTION = 'attention';

/** Twice of this, and two writes, are below the two seconds within which a hold is to be seen. */
const ROUND_MILLIS = 500;
/** Runs that need nobody are looked at this many rounds apart, and so are counts. */
const CALM_ROUNDS = 4;
/** A decision that nobody took by then is left again: what is left twice is one. */
const REPOST_MILLIS = 5_000;
/** Calls to the journal or the API server at once. */
const AT_ONCE = 16;

export interface ViewsOptions {
  readonly client: KubeClient;
  /** The operator's own namespace: exception records are there. */
  readonly operatorNamespace: string;
  /** All OrderSagaRuns; those of mode View count. */
  readonly runs: ReadStore<OrderSagaRun>;
  readonly journal: Pick<WorkerJournal, 'attention' | 'look' | 'post' | 'counts' | 'loadRevision'>;
  readonly recorder: Recorder;
  readonly metrics: ViewMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: ViewLimits;
  /** Resolves once the journal can be asked. @default at once */
  readonly ready?: (signal: AbortSignal) => Promise<void>;
}

/** What is remembered of a View between rounds. All of it may be lost. */
interface Memory {
  /** Monotonic time since when its run has needed nobody. */
  calmSince?: number | undefined;
  /** In this round its run was found to need nobody any more: what came of it is shown at once. */
  hasCalmed?: boolean;
  /** Monotonic time since when it has been closed. */
  closedSince?: number | undefined;
  posted?: { readonly decision: string; readonly at: number };
  undelivered?: Undelivered | undefined;
  /** How much of what its run gave up on is on record. */
  recorded?: number;
}

/**
 * Shows the runs of a journal outside Kubernetes that need a person as OrderSagaRuns of mode View, and those that a person asked for by creating one; and
 * carries people's decisions to the journal, which is the truth. Needs the lead: one keeper at a time. Deleting a View means nothing: as long as its
 * run needs someone, it comes back.
 */
export class Views implements Runnable {
  readonly name = 'views';
  readonly #o: ViewsOptions;
  readonly #memory = new Map<string, Memory>();
  readonly #revisions = new Recent<string, Revision>(REVISIONS_KEPT);
  #counts: ReadonlyMap<string, { readonly active: number; readonly held: number }> = new Map();
  #held = new Map<string, string[]>();
  #excess = new Map<string, number>();
  /** Runs that cannot show, since their View's name is taken. */
  #nameless = new Set<string>();
  #round = 0;

  constructor(options: ViewsOptions) {
    this.#o = options;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { clock, logger, metrics, ready } = this.#o;
    await ready?.(signal);
    while (!signal.aborted) {
      try {
        await this.keep();
        metrics.kept(clock.wall());
      } catch (error) {
        // What a View shows is old by then; the metric of the last good round says so.
        metrics.failures.inc();
        logger.warn('views could not be kept; tried again', { error });
      }
      await pause(clock, ROUND_MILLIS, signal);
    }
  }

  /** What the last rounds saw of a saga's runs. */
  populationOf(namespace: string, saga: string): Standing {
    const key = sagaKey(namespace, saga);
    const { active = 0, held = 0 } = this.#counts.get(key) ?? {};
    return {
      active,
      heldCount: held,
      heldRuns: (this.#held.get(key) ?? []).slice(0, TOP),
      excessViews: this.#excess.get(key) ?? 0,
    };
  }

  /**
   * One round: makes, writes and removes Views as the journal has it now, and leaves new decisions there. A View that cannot be kept keeps nobody else's
   * from it: a quota or a policy of one namespace is not to hide the runs of all.
   * @throws AggregateError that says what went wrong with single Views, after all others were kept; the journal's errors
   */
  async keep(): Promise<void> {
    const { journal, limits, metrics } = this.#o;
    const isCalmRound = this.#round % CALM_ROUNDS === 0;
    const [{ runs, total }, counts] = await Promise.all([
      journal.attention(limits.cap),
      isCalmRound ? journal.counts() : this.#counts,
    ]);
    this.#counts = counts;
    this.#round += 1;
    const attention = new Map(runs.map((sight) => [runKey(sight.run.id), sight]));
    const views = new Map([...this.#o.runs.values()].filter(isView).map((view) => [runKey(idOf(view)), view]));
    for (const key of this.#memory.keys()) if (!views.has(key)) this.#memory.delete(key);
    for (const key of this.#nameless) if (!attention.has(key)) this.#nameless.delete(key);
    const { make, remove, close } = select([...attention.keys()], [...views].map(this.#asKept(attention)), limits);
    const made = new Set<string>();
    const failures = await each(make, async (key) => {
      if (await this.#make(attention.get(key) as RunSight)) made.add(key);
    });
    const removed = new Set(remove);
    failures.push(...(await each(removed, (key) => this.#remove(views.get(key) as OrderSagaRun))));
    const there = [...views].filter(
      ([key, view]) => !removed.has(key) && view.metadata.deletionTimestamp === undefined,
    );
    const closed = new Set(close);
    const shown = there.filter(([key]) => !closed.has(key));
    const shut = there.filter(([key]) => closed.has(key));
    failures.push(...(await each(shut, ([key, view]) => this.#shut(view, attention.get(key)))));
    failures.push(...(await each(shown, ([key, view]) => this.#show(view, attention.get(key), isCalmRound))));
    this.#take([...attention], new Set([...shown.map(([key]) => key), ...made]), total);
    metrics.closed.set(shut.length);
    if (failures.length > 0)
      throw new AggregateError(
        failures,
        `${failures.length} Views could not be kept, the first: ${failures[0]?.message}`,
      );
  }

  #asKept =
    (attention: ReadonlyMap<string, RunSight>) =>
    ([key, view]: [string, OrderSagaRun]): KeptView => {
      const now = this.#o.clock.monotonic();
      const memory = this.#remember(key);
      memory.hasCalmed = memory.calmSince === undefined && !attention.has(key);
      memory.calmSince = attention.has(key) ? undefined : (memory.calmSince ?? now);
      return {
        name: key,
        asked: view.metadata.labels?.[VIEW_LABEL] !== ATTENTION,
        calm: memory.calmSince === undefined ? undefined : now - memory.calmSince,
        closed: memory.closedSince === undefined ? undefined : now - memory.closedSince,
        age: this.#o.clock.wall() - Date.parse(view.metadata.creationTimestamp ?? ''),
      };
    };

  /** @returns whether it shows now, or will when the cache has it */
  async #make(sight: RunSight): Promise<boolean> {
    const { id } = sight.run;
    const { namespace, name } = placeOf(id);
    // The order itself stays where it is: what a person needs to decide is the status, and etcd is no order store.
    const view: OrderSagaRun = {
      apiVersion: API_VERSION,
      kind: 'OrderSagaRun',
      metadata: { namespace, name, labels: { [VIEW_LABEL]: ATTENTION } },
      spec: { sagaRef: { name: id.saga }, orderId: id.orderId, mode: 'View' },
    };
    try {
      const made = await this.#o.client.create(orderSagaRuns, view);
      await this.#show(made, sight, true);
      return true;
    } catch (error) {
      // Its namespace is gone or going, and there is nobody to show it to.
      if (isNotFound(error)) return false;
      if (!isAlreadyExists(error)) throw error;
      const other = this.#o.runs.get(namespace, name);
      // Otherwise the cache did not show it yet.
      const isTaken = other !== undefined && !(isView(other) && runKey(idOf(other)) === runKey(id));
      if (isTaken) this.#tellNameless(id, other);
      return !isTaken;
    }
  }

  /** A run of mode Execute has the name; or another's View: names do not tell `a-b` of saga `c` from `b` of saga `c-a`. */
  #tellNameless(id: RunId, other: OrderSagaRun): void {
    const key = runKey(id);
    if (this.#nameless.has(key)) return;
    this.#nameless.add(key);
    const note = `the run ${key} needs a person and cannot show: this object has the name of its View; delete this one`;
    this.#o.logger.error(note, { object: `${id.namespace}/${other.metadata.name}`, mode: other.spec.mode });
    this.#o.recorder.event(other, { type: 'Warning', reason: 'NameTaken', action: 'Show', note });
  }

  async #remove(view: OrderSagaRun): Promise<void> {
    const { uid = '' } = view.metadata;
    await this.#o.client.delete(orderSagaRuns, placeOf(idOf(view)), { uid }).catch(ignoreGone);
  }

  /** Writes what a View shows, and leaves its decision. One whose run needs nobody is looked at now and then; one with a decision at once. */
  async #show(view: OrderSagaRun, known: RunSight | undefined, isCalmRound: boolean): Promise<void> {
    const id = idOf(view);
    const memory = this.#remember(runKey(id));
    memory.closedSince = undefined;
    const isNew = view.status?.phase === undefined;
    if (known === undefined && !isCalmRound && !isNew && memory.hasCalmed !== true && !this.#isUnsettled(view)) return;
    const sight = await this.#carry(view, id, known, memory);
    const state = stateOf(sight?.record);
    const revision = state && (await this.#revisionOf(id, state.revision));
    const { undelivered } = memory;
    const status = viewStatus({ view, id, sight, revision, undelivered, now: this.#o.clock.wall() });
    if (!isDeepStrictEqual(status, view.status)) await this.#write(view, id, status);
  }

  /** Looks at the run, carries what a person decided to it, and puts on record what it gave up on. @returns the run as it stands */
  async #carry(
    view: OrderSagaRun,
    id: RunId,
    known: RunSight | undefined,
    memory: Memory,
  ): Promise<RunSight | undefined> {
    const sight = known ?? (await this.#o.journal.look(id));
    await this.#decide(view, id, sight, memory);
    const state = stateOf(sight?.record);
    if (state !== undefined) await this.#putOnRecord(id, state, memory);
    return sight;
  }

  /**
   * What a run gave up on becomes an exception record where people look for it, whatever the journal; journals keep it too. A person gives up by deciding in
   * a View, so none is missed; and before the status shows what came of it, so that who sees that finds the record.
   */
  async #putOnRecord(id: RunId, { givenUp }: RunState, memory: Memory): Promise<void> {
    const { client, operatorNamespace, clock } = this.#o;
    for (const entry of givenUp.slice(memory.recorded ?? 0))
      await recordException(client, operatorNamespace, id, entry, clock.wall());
    memory.recorded = givenUp.length;
  }

  /** One of too many that were asked for: it shows nothing, and a decision in it is carried all the same. */
  async #shut(view: OrderSagaRun, known: RunSight | undefined): Promise<void> {
    const id = idOf(view);
    const { limits, clock } = this.#o;
    const memory = this.#remember(runKey(id));
    memory.closedSince ??= clock.monotonic();
    if (this.#isUnsettled(view)) await this.#carry(view, id, known, memory);
    const status = closedStatus(view, askedShare(limits.cap), clock.wall());
    if (!isDeepStrictEqual(status, view.status)) await this.#write(view, id, status);
  }

  /** The decision of a person that the run has not answered yet. */
  #isUnsettled({ spec, status }: OrderSagaRun): boolean {
    return spec.decision !== undefined && spec.decision.holdId !== status?.observedDecision?.holdId;
  }

  async #decide(view: OrderSagaRun, id: RunId, sight: RunSight | undefined, memory: Memory): Promise<void> {
    const { decision } = view.spec;
    if (decision === undefined) return;
    const seen = stateOf(sight?.record)?.observedDecision;
    const text = JSON.stringify(decision);
    const { posted } = memory;
    if (seen?.holdId === decision.holdId && seen.outcome === 'Accepted') {
      // Two decided at once: whoever came second is not to believe that theirs is followed.
      if (seen.do !== decision.do && posted?.decision !== text) tellTooLate(this.#o.recorder, view, seen.do);
      memory.posted = { decision: text, at: this.#o.clock.monotonic() };
      return;
    }
    const isSame = posted?.decision === text;
    const now = this.#o.clock.monotonic();
    // An answer to it, or to one like it before this process began; a person who wants another answer decides otherwise.
    if (seen?.holdId === decision.holdId && (isSame || posted === undefined) && seen.do === decision.do) return;
    if (isSame && now - posted.at < REPOST_MILLIS) return;
    const outcome = await this.#o.journal.post(id, { type: 'Decision', decision } as Mail);
    memory.posted = { decision: text, at: now };
    memory.undelivered = outcome === 'Posted' ? undefined : outcome;
    if (isSame) return;
    this.#o.metrics.decisions.inc({ outcome });
    this.#o.recorder.event(view, {
      type: outcome === 'Posted' ? 'Normal' : 'Warning',
      reason: outcome === 'Posted' ? 'DecisionCarried' : 'DecisionTooLate',
      action: 'Decide',
      note: `${decision.do} by ${decision.by}: ${outcome === 'Posted' ? 'left in the journal for the worker that drives the run' : 'there is no open run that could follow it'}`,
    });
  }

  async #write(view: OrderSagaRun, id: RunId, status: OrderSagaRunStatus): Promise<void> {
    // In a merge patch, null removes what the status no longer has.
    const gone = Object.keys(view.status ?? {}).filter((field) => !(field in status));
    const patch = { status: { ...status, ...Object.fromEntries(gone.map((field) => [field, null])) } };
    await this.#o.client
      .patchStatus<OrderSagaRun>(orderSagaRuns, placeOf(id), patch as DeepPartial<OrderSagaRun>)
      .catch(ignoreGone);
  }

  async #revisionOf({ namespace, saga }: RunId, hash: string): Promise<Revision | undefined> {
    const key = `${sagaKey(namespace, saga)}/${hash}`;
    const known = this.#revisions.get(key);
    if (known !== undefined) return known;
    const found = await this.#o.journal.loadRevision(namespace, saga, hash);
    if (found !== undefined) this.#revisions.set(key, found);
    return found;
  }

  /** What the sagas' statuses and the metrics get to know of this round. */
  #take(attention: readonly [string, RunSight][], shown: ReadonlySet<string>, total: number): void {
    const held = new Map<string, string[]>();
    const seen = new Map<string, number>();
    for (const [key, { run, record }] of attention) {
      const saga = sagaKey(run.id.namespace, run.id.saga);
      if (stateOf(record)?.hold !== undefined) {
        held.set(saga, [...(held.get(saga) ?? []), placeOf(run.id).name]);
        if (shown.has(key)) seen.set(saga, (seen.get(saga) ?? 0) + 1);
      }
    }
    this.#held = held;
    const visible = attention.filter(([key]) => shown.has(key)).length;
    const isComplete = visible >= total;
    this.#excess = new Map(
      [...this.#counts].map(([saga, count]) => [
        saga,
        isComplete ? 0 : Math.max(0, count.held - (seen.get(saga) ?? 0)),
      ]),
    );
    this.#o.metrics.views.set(shown.size);
    this.#o.metrics.excess.set(Math.max(0, total - visible));
  }

  #remember(key: string): Memory {
    const known = this.#memory.get(key);
    if (known !== undefined) return known;
    const memory: Memory = {};
    this.#memory.set(key, memory);
    return memory;
  }
}

function isView(run: OrderSagaRun): boolean {
  return run.spec.mode === 'View';
}

function stateOf(record: JournalRecord | undefined): RunState | undefined {
  return record !== undefined && 'state' in record ? record.state : undefined;
}

/** Does it for each, a few at once, whatever becomes of the others. @returns what went wrong */
async function each<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<Error[]> {
  const queue = [...items].values();
  const failures: Error[] = [];
  const worker = async (): Promise<void> => {
    for (const item of queue)
      await work(item).catch((error: unknown) => {
        failures.push(error instanceof Error ? error : new Error(String(error)));
      });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}

/** Somebody deleted the View: it means nothing. */
function ignoreGone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
