import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { FINALIZER, idOf, outcomeOf, TRACE_ANNOTATION, trim } from '../controllers/ordersagarun/run.ts';
import { JournalUnavailable } from '../journals/journal.ts';
import { orderSagaRuns, placeOf } from '../journals/kubernetes/journal.ts';
import type { KubeClient } from '../kube/client.ts';
import { ApiError, isAlreadyExists, isConflict, isForbidden, isInvalid, isNotFound } from '../kube/errors.ts';
import { excerpt } from '../participants/excerpt.ts';
import type { Clock } from '../runtime/clock.ts';
import { runKey } from '../saga/command.ts';
import type { RunId } from '../saga/types.ts';
import { AilingNamespaces } from './ailing.ts';
import { type Intake, IntakeBusy, IntakeRefused, mustBeWatched, type PlacedOrder, type Taken } from './intake.ts';
import { Patience } from './patience.ts';

/** A namespace that is missing is made by people, a quota is raised by people: they take minutes. */
const PATIENCE_MILLIS = 600_000;
const RETRY_MILLIS = 2_000;

/**
 * Intake for the kubernetes journal: an order becomes an OrderSagaRun. It begins as one that a person applies: an OrderSaga that is missing is told by
 * the object's condition, and is no reason to refuse the order.
 *
 * A namespace that lets nothing in (a quota, an admission policy, a webhook) is waited for by itself: its orders come again, and after ten minutes each is
 * refused, as `NotAdmitted`. What it does badly ({@link AilingNamespaces}) holds up no other namespace.
 */
export class KubernetesIntake implements Intake {
  readonly room = Number.POSITIVE_INFINITY;
  readonly #client: KubeClient;
  readonly #namespaces: readonly string[];
  readonly #patience: Patience;
  readonly #ailing: AilingNamespaces;

  /** @param namespaces those that this operator looks after; empty: all */
  constructor(client: KubeClient, clock: Clock, namespaces: readonly string[]) {
    this.#client = client;
    this.#namespaces = namespaces;
    this.#patience = new Patience(clock, PATIENCE_MILLIS);
    this.#ailing = new AilingNamespaces(clock);
  }

  async take({ id, input, traceparent }: PlacedOrder): Promise<Taken> {
    mustBeWatched(id, this.#namespaces);
    const object = {
      // The operator adds a finalizer where it is missing, which costs a write.
      metadata: {
        ...placeOf(id),
        finalizers: [FINALIZER],
        ...(traceparent && { annotations: { [TRACE_ANNOTATION]: traceparent } }),
      },
      spec: { sagaRef: { name: id.saga }, orderId: id.orderId, input, mode: 'Execute' },
    };
    try {
      const create = () => this.#client.create(orderSagaRuns, object as unknown as OrderSagaRun);
      await this.#ailing.within(id.namespace, create);
      this.#patience.forget(id.namespace);
      this.#patience.forget(runKey(id));
      return 'Begun';
    } catch (error) {
      if (isAlreadyExists(error)) return this.#compared(id);
      // Quotas and policies are asked before it is looked whether the object is there: one that was taken before must not be refused now.
      if ((isForbidden(error) || isInvalid(error)) && (await this.#isThere(id))) return 'Known';
      throw this.#read(id, error);
    }
  }

  async #isThere(id: RunId): Promise<boolean> {
    try {
      this.#mustBe(id, await this.#client.get(orderSagaRuns, placeOf(id)));
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw this.#read(id, error);
    }
  }

  /**
   * A cancel is told by deleting the object (design rule 8: both are the same event): before the pivot the run compensates, after it it finishes forward,
   * and the object goes when it has ended. The uid makes sure that it is this run's object.
   */
  async cancel(id: RunId): Promise<'Told' | 'Ended'> {
    mustBeWatched(id, this.#namespaces);
    try {
      const object = await this.#client.get(orderSagaRuns, placeOf(id));
      this.#mustBe(id, object);
      // A phase alone proves nothing: someone may have edited it.
      if (outcomeOf(trim(object)) !== undefined) return 'Ended';
      const { uid = '', deletionTimestamp } = object.metadata;
      if (deletionTimestamp === undefined) await this.#client.delete(orderSagaRuns, placeOf(id), { uid });
      return 'Told';
    } catch (error) {
      if (isNotFound(error) || isConflict(error))
        throw new IntakeBusy(`${runKey(id)} is not known yet: its order is still on its way`, RETRY_MILLIS);
      throw this.#read(id, error);
    }
  }

  /** There is an object of that name: names do not tell `a-b` of saga `c` from `b` of saga `c-a`. */
  async #compared(id: RunId): Promise<Taken> {
    try {
      this.#mustBe(id, await this.#client.get(orderSagaRuns, placeOf(id)));
      return 'Known';
    } catch (error) {
      // It went in between; the next delivery makes it anew, and finished runs are remembered.
      if (isNotFound(error)) throw new IntakeBusy(`${runKey(id)} was just deleted`, RETRY_MILLIS);
      throw this.#read(id, error);
    }
  }

  #mustBe(id: RunId, object: OrderSagaRun): void {
    const found = idOf(object);
    if (object.spec.mode === 'Execute' && runKey(found) === runKey(id)) return;
    const what = object.spec.mode === 'View' ? 'a View' : `the run of order ${found.orderId} of saga ${found.saga}`;
    throw new IntakeRefused(
      'NameTaken',
      `the OrderSagaRun ${placeOf(id).name} is ${what}: use order ids of one length`,
    );
  }

  #read(id: RunId, error: unknown): unknown {
    if (error instanceof IntakeRefused || error instanceof IntakeBusy) return error;
    // An API server's words, and a webhook's, may quote the object.
    const said = excerpt(error instanceof Error ? error.message : String(error), 512);
    if (isInvalid(error)) return new IntakeRefused('InputInvalid', said);
    // Quotas, admission policies, a namespace that ends: people change them. One that is missing may be a mistyped name.
    if (isForbidden(error)) {
      if (this.#patience.isOver(runKey(id))) return new IntakeRefused('NotAdmitted', said);
      return new IntakeBusy(said, RETRY_MILLIS);
    }
    // A webhook that fails looks so, and is its namespace's: other orders are worth a try.
    if (error instanceof ApiError && error.code >= 500) return new IntakeBusy(said, RETRY_MILLIS);
    if (!isNotFound(error)) return new JournalUnavailable(said, { cause: error });
    if (this.#patience.isOver(id.namespace)) return new IntakeRefused('NamespaceNotFound', said);
    return new IntakeBusy(said, RETRY_MILLIS);
  }
}
