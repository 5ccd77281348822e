import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { FINALIZER, idOf } from '../controllers/ordersagarun/run.ts';
import { recordException } from '../journals/kubernetes/exceptions.ts';
import { FinishedRuns } from '../journals/kubernetes/finished.ts';
import { orderSagaRuns } from '../journals/kubernetes/journal.ts';
import type { DeepPartial, KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import type { NamespacedName } from '../kube/key.ts';
import { type Clock, pause } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { type Standing, standingOf } from './survey.ts';

/** How often all runs are looked at, in milliseconds. */
const LOOK_EVERY_MILLIS = 1_000;
/** How long the operator may take to end runs that were aborted, in milliseconds. */
const ABORT_MILLIS = 60_000;
/** Finalizers that are taken away at once. */
const AT_ONCE = 16;
/** How many of the runs that are left are named. */
const NAMED = 20;

export interface DrainOptions {
  readonly client: KubeClient;
  /** The operator's own namespace: exception records, the memory of finished runs. */
  readonly namespace: string;
  /** Empty: all. */
  readonly watchNamespaces: readonly string[];
  /** Who signs decisions: the user as which `client` is known to the API server. */
  readonly user: string;
  /** How long runs in flight are waited for. */
  readonly timeoutMs: number;
  /** Whether held runs are aborted. @default false */
  readonly force?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Stops waiting. */
  readonly signal: AbortSignal;
}

/** A run that would be stuck without an operator, and why. */
export interface Left extends NamespacedName {
  readonly standing: 'held' | 'working' | 'ended';
  readonly why: string;
}

export interface DrainReport {
  /** Ended runs whose objects nothing keeps any more. */
  readonly released: number;
  /** Held runs that were given up, each with its exception records. */
  readonly aborted: number;
  /** How many runs would be stuck. */
  readonly leftCount: number;
  /** Who they are, the first 20. */
  readonly left: readonly Left[];
}

/** What one look at all runs found. */
interface Look {
  readonly working: Left[];
  readonly held: { readonly run: OrderSagaRun; readonly holdId: string; readonly left: Left }[];
  /** Ended, and not remembered yet: the operator writes its memory within a second. */
  readonly unremembered: Left[];
}

/**
 * Brings the operator's work to an end before the operator goes: waits until no run is in flight, and takes the finalizers of those that have ended, which
 * would keep their objects, and so their namespace and their kind, for ever. The objects stay.
 *
 * Works beside the operator and writes no run's journal: a held run is given up by a decision like any other, Abort, which the engine carries out and puts
 * on record. A run in flight is never given up: whoever must, deletes its namespace (design rule 8).
 *
 * Resolves with what is left: held runs unless `force`, and all that the time was too short for. Rejects with the client's errors.
 */
export async function drain(options: DrainOptions): Promise<DrainReport> {
  return new Drain(options).run();
}

class Drain {
  readonly #o: DrainOptions;
  readonly #finished: FinishedRuns;
  #released = 0;
  readonly #aborted = new Set<string>();

  constructor(options: DrainOptions) {
    this.#o = options;
    this.#finished = new FinishedRuns(options.client, options.namespace, () => options.clock.wall());
  }

  async run(): Promise<DrainReport> {
    const { clock, signal, timeoutMs, force = false } = this.#o;
    let deadline = clock.monotonic() + timeoutMs;
    for (;;) {
      const look = await this.#look();
      const isQuiet = look.working.length + look.unremembered.length === 0;
      const isOver = isQuiet || clock.monotonic() >= deadline;
      // Runs that were aborted just now get the time that it takes the operator to end them.
      const hasMore = isOver && force && (await this.#abort(look));
      if (hasMore) deadline = clock.monotonic() + ABORT_MILLIS;
      const waitsForAborted = force && look.held.length > 0 && clock.monotonic() < deadline;
      if (signal.aborted || (isOver && !waitsForAborted)) return this.#report(look);
      await pause(clock, LOOK_EVERY_MILLIS, signal);
    }
  }

  /** Looks at every run, and lets go of those that have ended. */
  async #look(): Promise<Look> {
    const { client, watchNamespaces, logger } = this.#o;
    await this.#finished.load();
    const look: Look = { working: [], held: [], unremembered: [] };
    for (const namespace of watchNamespaces.length === 0 ? [undefined] : watchNamespaces)
      for await (const { items } of client.pages(orderSagaRuns, namespace === undefined ? {} : { namespace }))
        for (let from = 0; from < items.length; from += AT_ONCE)
          await Promise.all(items.slice(from, from + AT_ONCE).map((run) => this.#see(run, look)));
    const { working, held, unremembered } = look;
    logger.info('looked at all runs', {
      inFlight: working.length,
      held: held.length,
      endedJustNow: unremembered.length,
      released: this.#released,
    });
    return look;
  }

  async #see(run: OrderSagaRun, look: Look): Promise<void> {
    const standing = standingOf(run);
    const left = (kind: Left['standing'], why: string): Left => ({
      namespace: run.metadata.namespace ?? '',
      name: run.metadata.name,
      standing: kind,
      why,
    });
    switch (standing.kind) {
      case 'free':
        return;
      case 'working':
        look.working.push(left('working', standing.why));
        return;
      case 'held':
        look.held.push({ run, holdId: standing.holdId, left: left('held', standing.why) });
        return;
      case 'ended':
        if (!(await this.#release(run, standing)))
          look.unremembered.push(left('ended', 'the operator has not remembered yet that it ended'));
    }
  }

  /** Takes the finalizer of a run that is over, once nothing is lost with its object. @returns whether it is gone */
  async #release(run: OrderSagaRun, ended: Extract<Standing, { kind: 'ended' }>): Promise<boolean> {
    const { client, namespace } = this.#o;
    const id = idOf(run);
    if (!this.#finished.isRemembered(id)) return false;
    for (const entry of ended.givenUp) await recordException(client, namespace, id, entry, ended.finishedAt);
    const { resourceVersion = '', finalizers = [] } = run.metadata;
    const metadata = { finalizers: finalizers.filter((each) => each !== FINALIZER) };
    const gone = await this.#patch(run, { metadata }, { resourceVersion });
    if (gone) this.#released += 1;
    return gone;
  }

  /** Decides Abort for each held run, once. @returns whether any was decided now */
  async #abort({ held }: Look): Promise<boolean> {
    const { user, logger } = this.#o;
    const before = this.#aborted.size;
    for (const { run, holdId, left } of held) {
      if (this.#aborted.has(`${left.namespace}/${left.name}/${holdId}`)) continue;
      const decision = { holdId, do: 'Abort', reason: 'the operator is uninstalled (drain.force)', by: user };
      // What an earlier decision of somebody else said goes.
      const patch = { spec: { decision: { ...decision, step: null, outputs: null } } };
      if (!(await this.#patch(run, patch as DeepPartial<OrderSagaRun>))) continue;
      logger.warn('gave up a held run', { ...left });
      this.#aborted.add(`${left.namespace}/${left.name}/${holdId}`);
    }
    return this.#aborted.size > before;
  }

  /** @returns false where somebody else wrote first, or the object is gone: the next look shows which */
  async #patch(
    { metadata: { namespace = '', name } }: OrderSagaRun,
    patch: DeepPartial<OrderSagaRun>,
    precondition: { resourceVersion?: string } = {},
  ): Promise<boolean> {
    try {
      await this.#o.client.patch<OrderSagaRun>(orderSagaRuns, { namespace, name }, patch, precondition);
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }

  #report({ working, held, unremembered }: Look): DrainReport {
    const left = [...working, ...held.map((each) => each.left), ...unremembered];
    return {
      released: this.#released,
      aborted: this.#aborted.size,
      leftCount: left.length,
      left: left.slice(0, NAMED),
    };
  }
}
