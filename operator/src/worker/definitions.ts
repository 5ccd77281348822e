import type { OrderSaga } from '../api/ordersaga.ts';
import type { Participant } from '../api/participant.ts';
import { accept, pauseInForce } from '../controllers/ordersaga/accept.ts';
import { sagaKey } from '../controllers/ordersaga/controller.ts';
import { keptFor } from '../controllers/ordersaga/retention.ts';
import type { Journal } from '../journals/journal.ts';
import type { Outcome } from '../journals/worker-journal.ts';
import type { Cache } from '../kube/cache.ts';
import { REVISIONS_KEPT, Recent } from '../runtime/recent.ts';
import type { Revision } from '../saga/types.ts';

/** Whether runs of a saga may begin now, and what they follow. */
export type Verdict =
  | { readonly accepted: true; readonly revision: Revision }
  | { readonly accepted: false; readonly reason: 'SagaNotFound' | 'SagaNotAccepted'; readonly message: string };

/** What is read of a cache. */
export type Declared<T extends OrderSaga | Participant> = Pick<Cache<T>, 'get' | 'values' | 'onChange'>;

export interface DefinitionsOptions {
  readonly sagas: Declared<OrderSaga>;
  readonly participants: Declared<Participant>;
  readonly journal: Pick<Journal, 'saveRevision' | 'loadRevision'>;
  /** Revisions that are kept in memory; others are asked of the journal again. @default 1,000 */
  readonly kept?: number;
}

/**
 * What runs follow, as the cluster's OrderSagas and Participants say it. Asked for every order, so each answer is kept until an object that it came from
 * changes: to look at a definition costs a hundred times what an order may.
 */
export class Definitions {
  readonly #o: DefinitionsOptions;
  readonly #verdicts = new Map<string, Verdict>();
  /** Revisions that the journal has, by `namespace/saga/hash`; a revision never changes. */
  readonly #stored: Recent<string, Promise<Revision | undefined>>;

  constructor(options: DefinitionsOptions) {
    this.#o = options;
    this.#stored = new Recent(options.kept ?? REVISIONS_KEPT);
    options.sagas.onChange((change) => {
      const { namespace = '', name } = (change.type === 'deleted' ? change.old : change.object).metadata;
      this.#verdicts.delete(sagaKey(namespace, name));
    });
    options.participants.onChange(() => this.#verdicts.clear());
  }

  /** May a run of this saga begin? */
  verdict(namespace: string, saga: string): Verdict {
    const key = sagaKey(namespace, saga);
    const known = this.#verdicts.get(key);
    if (known !== undefined) return known;
    const verdict = this.#judge(namespace, saga);
    // What does not exist is not remembered: anybody can ask for any name.
    if (verdict.accepted || verdict.reason !== 'SagaNotFound') this.#verdicts.set(key, verdict);
    return verdict;
  }

  /** Resolves once the journal has the revision: before the first run that begins with it. Rejects with the journal's errors. */
  async store(namespace: string, saga: string, revision: Revision): Promise<void> {
    const key = `${sagaKey(namespace, saga)}/${revision.hash}`;
    const known = this.#stored.get(key);
    if (known !== undefined && (await known) !== undefined) return;
    await this.#remember(
      key,
      this.#o.journal.saveRevision(namespace, saga, revision).then(() => revision),
    );
  }

  /** The revision that a run began with; undefined where the journal has it no more. Rejects with the journal's errors. */
  revision(namespace: string, saga: string, hash: string): Promise<Revision | undefined> {
    const key = `${sagaKey(namespace, saga)}/${hash}`;
    return this.#stored.get(key) ?? this.#remember(key, this.#o.journal.loadRevision(namespace, saga, hash));
  }

  /** At most so many runs of a saga at work, over all workers; undefined: any number. */
  maxActive(namespace: string, saga: string): number | undefined {
    return this.#o.sagas.get(namespace, saga)?.spec.maxActive;
  }

  /** The sagas that a pause is in force for, as {@link sagaKey}s. @param wall Unix milliseconds */
  paused(wall: number): Set<string> {
    const paused = new Set<string>();
    for (const { metadata, spec } of this.#o.sagas.values())
      if (pauseInForce([spec.pause], wall) !== undefined) paused.add(sagaKey(metadata.namespace ?? '', metadata.name));
    return paused;
  }

  /** How long a run that ended so is kept, in milliseconds. */
  keptFor(namespace: string, saga: string, outcome: Outcome): number {
    return keptFor(this.#o.sagas.get(namespace, saga), outcome);
  }

  #judge(namespace: string, name: string): Verdict {
    const saga = this.#o.sagas.get(namespace, name);
    if (saga === undefined) {
      const message = `there is no OrderSaga ${name} in namespace ${namespace}: apply it, and its orders are taken`;
      return { accepted: false, reason: 'SagaNotFound', message };
    }
    const acceptance = accept(saga, (participant) => this.#o.participants.get(namespace, participant));
    if (acceptance.accepted) return { accepted: true, revision: acceptance.revision };
    return { accepted: false, reason: 'SagaNotAccepted', message: `OrderSaga ${name}: ${acceptance.message}` };
  }

  /** Only what the journal has is remembered: it may get what it has not yet. */
  #remember(key: string, asked: Promise<Revision | undefined>): Promise<Revision | undefined> {
    this.#stored.set(key, asked);
    asked.then(
      (revision) => revision === undefined && this.#stored.delete(key),
      () => this.#stored.delete(key),
    );
    return asked;
  }
}
