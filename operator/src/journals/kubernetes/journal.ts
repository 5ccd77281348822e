import type { Condition } from '../../api/conditions.ts';
import { type OrderSagaRun, type OrderSagaRunStatus, orderSagaRun } from '../../api/ordersagarun.ts';
import type { DeepPartial, KubeClient } from '../../kube/client.ts';
import { isConflict, isNotFound } from '../../kube/errors.ts';
import { resourceOfKind } from '../../kube/kind.ts';
import { runKey } from '../../saga/command.ts';
import { afterEnd, nextAction } from '../../saga/narrate.ts';
import type { GivenUp, Revision, RunId, RunState } from '../../saga/types.ts';
import { type Journal, type JournalRecord, JournalUnavailable, type Version, VersionConflict } from '../journal.ts';
import { decode, encode } from './codec.ts';
import { runConditions } from './conditions.ts';
import { recordException } from './exceptions.ts';
import { Revisions } from './revisions.ts';

/** OrderSagaRuns as the client addresses them. */
export const orderSagaRuns = resourceOfKind(orderSagaRun);

/** Where a run's object is. */
export function placeOf(id: RunId): { namespace: string; name: string } {
  return { namespace: id.namespace, name: `${id.saga}-${id.orderId}` };
}

export interface KubernetesJournalOptions {
  readonly client: KubeClient;
  /** Where exception records are kept: the operator's own namespace. */
  readonly operatorNamespace: string;
  /** Hears of each write, with the object as the API server answered it; feeds the read-your-writes fence. */
  readonly wrote?: (answer: OrderSagaRun) => void;
  /** Unix milliseconds. */
  readonly wall: () => number;
}

/** What the journal adds to a state to make a status: it depends on the object, not on the run. */
interface Surroundings {
  generation: number;
  conditions: readonly Condition[];
  /** For people: when a paused run goes on, and why it is paused. */
  pause?: { readonly until: string; readonly reason: string } | undefined;
}

/**
 * The kubernetes journal: a run lives in the status of its OrderSagaRun. A write is one merge patch of the status with the resourceVersion in it
 * (docs/adr/journal-writes.md): one writer owns the whole journal, so there is nothing for a server-side apply to merge.
 */
export class KubernetesJournal implements Journal {
  readonly #options: KubernetesJournalOptions;
  readonly #revisions: Revisions;
  readonly #surroundings = new Map<string, Surroundings>();

  constructor(options: KubernetesJournalOptions) {
    this.#options = options;
    this.#revisions = new Revisions(options.client, options.wall);
  }

  /**
   * Tells what the object looks like now, and which pause is in force: its generation and conditions go into the next write.
   * @returns whether the pause is another than at the last time, so that what was written of it is out of date
   */
  observe(id: RunId, object: OrderSagaRun, pause?: Surroundings['pause']): boolean {
    const conditions = object.status?.conditions ?? [];
    const before = this.#surroundings.get(runKey(id))?.pause;
    this.#surroundings.set(runKey(id), { generation: object.metadata.generation ?? 0, conditions, pause });
    return before?.until !== pause?.until || before?.reason !== pause?.reason;
  }

  /** The run's writes are over. */
  forget(id: RunId): void {
    this.#surroundings.delete(runKey(id));
  }

  async read(id: RunId): Promise<JournalRecord | undefined> {
    try {
      const object = await this.#options.client.get(orderSagaRuns, placeOf(id));
      this.observe(id, object, this.#surroundings.get(runKey(id))?.pause);
      // What a write left whose answer was lost: a cache older than this must not be acted on either.
      this.#options.wrote?.(object);
      return { version: object.metadata.resourceVersion ?? '', ...(decode(id, object.status) ?? { state: undefined }) };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw unavailable(error);
    }
  }

  async write(id: RunId, state: RunState, version: Version): Promise<Version> {
    const known = this.#surroundings.get(runKey(id)) ?? { generation: 0, conditions: [] };
    const now = this.#options.wall();
    const conditions = runConditions(state, accepted(known, now), known.generation, rfc3339(now));
    const status = {
      ...encode(id, state),
      conditions,
      observedGeneration: known.generation,
      nextAction: this.#narrate(id, state, now, known.pause),
    };
    try {
      const patch = { status: nulls(status) } as DeepPartial<OrderSagaRun>;
      const answer = await this.#options.client.patchStatus<OrderSagaRun>(orderSagaRuns, placeOf(id), patch, {
        resourceVersion: version,
      });
      known.conditions = conditions;
      this.#surroundings.set(runKey(id), known);
      this.#options.wrote?.(answer);
      return answer.metadata.resourceVersion ?? '';
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) throw new VersionConflict(message(error));
      throw unavailable(error);
    }
  }

  async saveRevision(namespace: string, saga: string, revision: Revision): Promise<void> {
    await this.#revisions.save(namespace, saga, revision).catch((error) => Promise.reject(unavailable(error)));
  }

  async loadRevision(namespace: string, saga: string, hash: string): Promise<Revision | undefined> {
    return this.#revisions.load(namespace, saga, hash).catch((error) => Promise.reject(unavailable(error)));
  }

  async recordException(id: RunId, entry: GivenUp, at: number): Promise<void> {
    const { client, operatorNamespace } = this.#options;
    await recordException(client, operatorNamespace, id, entry, at).catch((error) =>
      Promise.reject(unavailable(error)),
    );
  }

  #narrate(id: RunId, state: RunState, now: number, pause: Surroundings['pause']): string {
    const revision = this.#revisions.cached(id.namespace, id.saga, state.revision);
    const when = (inMillis: number): string => `at ${rfc3339(now + inMillis)}`;
    const told =
      state.ended !== undefined
        ? afterEnd(state)
        : revision && nextAction(revision, state, when, pause && `${pause.until}: ${pause.reason}`);
    if (told === undefined) return '';
    return told.length <= 256 ? told : `${told.slice(0, 255)}…`;
  }
}

function accepted(known: Surroundings, now: number): readonly Condition[] {
  const before = known.conditions.find((condition) => condition.type === 'Accepted');
  if (before?.status === 'True') return known.conditions;
  const condition: Condition = {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: 'the run follows its revision',
    observedGeneration: known.generation,
    lastTransitionTime: rfc3339(now),
  };
  return [condition, ...known.conditions.filter((other) => other.type !== 'Accepted')];
}

/** In a merge patch, `null` removes a field; what is `undefined` would be left as it was. */
function nulls(status: { [K in keyof OrderSagaRunStatus]: unknown }): Record<string, unknown> {
  return Object.fromEntries(Object.entries(status).map(([key, value]) => [key, value ?? null]));
}

function rfc3339(millis: number): string {
  return `${new Date(millis).toISOString().slice(0, 19)}Z`;
}

function unavailable(error: unknown): JournalUnavailable {
  return new JournalUnavailable(message(error), { cause: error });
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
