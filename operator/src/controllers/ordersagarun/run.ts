import { parseTraceparent } from '@mercato/tracing';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { decode } from '../../journals/kubernetes/codec.ts';
import type { Outcome } from '../../journals/kubernetes/finished.ts';
import type { RunContext, RunId, RunInput } from '../../saga/types.ts';

/** Keeps a run's object until the run has ended: what it did may have to be undone. */
export const FINALIZER = 'mercato.dev/run';

/**
 * Says, from the moment the finalizer is there, which revision the run was begun with. Its status says so within a second; should the worker die in
 * that second and the OrderSaga have changed, the next one would compensate by another definition than the one that was carried out.
 */
export const REVISION_ANNOTATION = 'mercato.dev/revision';

/** W3C Trace Context of the request that the run came from, for whoever drives it. */
export const TRACE_ANNOTATION = 'mercato.dev/traceparent';

export function hasFinalizer(run: OrderSagaRun): boolean {
  return run.metadata.finalizers?.includes(FINALIZER) ?? false;
}

/** Names the run of an object. */
export function idOf(run: OrderSagaRun): RunId {
  return { namespace: run.metadata.namespace ?? '', saga: run.spec.sagaRef.name, orderId: run.spec.orderId };
}

export function contextOf(run: OrderSagaRun): RunContext {
  const traceparent = parseTraceparent(run.metadata.annotations?.[TRACE_ANNOTATION]);
  return { id: idOf(run), input: run.spec.input as RunInput, ...(traceparent && { traceparent }) };
}

const OUTCOMES: ReadonlySet<string> = new Set<Outcome>(['Succeeded', 'Compensated', 'Aborted']);

/**
 * What the cache keeps of a run. Of one that has ended, whose checksum fits, that is a tenth: no input, no steps, no journal; finished runs are by
 * far the most. A run that only claims to have ended (someone edited its phase) is kept whole, and is not taken for ended.
 */
export function trim(run: OrderSagaRun): OrderSagaRun {
  const outcome = run.status?.phase;
  if (run.spec.mode !== 'Execute' || outcome === undefined || !OUTCOMES.has(outcome)) return run;
  const found = decode(idOf(run), run.status);
  if (found === undefined || !('state' in found) || found.state.ended === undefined) return run;
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, finalizers } =
    run.metadata;
  const { sagaRef, orderId, mode, decision } = run.spec;
  const { phase, finishedAt, observedDecision, givenUp } = run.status ?? {};
  return {
    apiVersion: run.apiVersion,
    kind: run.kind,
    metadata: defined({
      name,
      namespace,
      uid,
      resourceVersion,
      generation,
      creationTimestamp,
      deletionTimestamp,
      finalizers,
    }),
    spec: defined({ sagaRef, orderId, mode, decision }),
    status: defined({ phase, finishedAt, observedDecision, givenUp }),
  } as OrderSagaRun;
}

/** How a run ended, if it did and was trimmed for it: a phase alone proves nothing. */
export function outcomeOf(run: OrderSagaRun): Outcome | undefined {
  return run.spec.mode === 'Execute' && run.spec.input === undefined ? (run.status?.phase as Outcome) : undefined;
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}
