import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { JournalUnavailable } from '../../journals/journal.ts';
import { placeOf } from '../../journals/kubernetes/journal.ts';
import { isForbidden, isInvalid } from '../../kube/errors.ts';
import type { Recorder } from '../../kube/events.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { RunnerObserver } from '../../runner/ports.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Effect, RunId, RunState } from '../../saga/types.ts';
import type { RunMetrics } from './metrics.ts';

/** Events of normal progress, a second: an operator under load has better things to write. Warnings are always told. */
const NORMAL_PER_SECOND = 5;
/** At once: all that a few orders on an idle system have to tell. */
const NORMAL_AT_ONCE = 40;

export interface RunObserverOptions {
  readonly runs: Pick<ReadStore<OrderSagaRun>, 'get'>;
  readonly recorder: Recorder;
  readonly metrics: RunMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The run has ended, durably. */
  readonly ended: (id: RunId, outcome: NonNullable<RunState['ended']>) => void;
  /** The run left the runner: the controller looks at it again. */
  readonly left: (id: RunId) => void;
  /** The run is another replica's from now on. */
  readonly parted: (id: RunId) => void;
}

/** Tells what happens to runs: as Events of their objects, in metrics, and in the log where a person is wanted. */
export function observeRuns({
  runs,
  recorder,
  metrics,
  logger,
  clock,
  ended,
  left,
  parted,
}: RunObserverOptions): RunnerObserver {
  const budget = new Budget(NORMAL_PER_SECOND, NORMAL_AT_ONCE, clock);
  const known = new Set<string>();
  return {
    adopted({ namespace, saga }, how) {
      expectExceptions(namespace, saga);
      metrics.started.inc({ namespace, saga, how });
    },
    transitioned(id, before, after, event, effects) {
      const labels = { namespace: id.namespace, saga: id.saga };
      for (const effect of effects) {
        if (effect.type === 'Notice') tell(id, effect);
        else if (effect.type === 'RecordException')
          metrics.exceptions.inc({ ...labels, decision: effect.entry.decision });
      }
      if (before.hold?.id !== after.hold?.id && after.hold !== undefined) {
        const { step = '', reason, message } = after.hold;
        metrics.holds.inc({ ...labels, step, reason });
        logger.warn('run held', {
          run: `${id.namespace}/${id.saga}-${id.orderId}`,
          holdId: after.hold.id,
          reason,
          message,
        });
      }
      if (before.direction !== after.direction)
        metrics.compensations.inc({ ...labels, step: after.cause?.step ?? '', reason: after.cause?.reason ?? '' });
      if (event.type === 'Decided' && after.observedDecision !== before.observedDecision) {
        metrics.decisions.inc({ ...labels, outcome: after.observedDecision?.outcome ?? '' });
      }
    },
    ended(id, state) {
      const labels = { namespace: id.namespace, saga: id.saga, outcome: state.ended ?? '' };
      metrics.finished.inc(labels);
      metrics.duration.observe(labels, durationOf(state));
      if (state.ended !== undefined) ended(id, state.ended);
      left(id);
    },
    dropped(id, why) {
      metrics.dropped.inc({ why });
      logger.warn('run dropped', { run: `${id.namespace}/${id.saga}-${id.orderId}`, why });
      left(id);
    },
    parted,
    journalFailed(id, error) {
      metrics.journalFailures.inc();
      tellRefused(id, error);
      logger.warn('journal write failed, trying again', { run: `${id.namespace}/${id.saga}-${id.orderId}`, error });
    },
  };

  /** The series exist before the first exception does: an increase from nothing to 1 is none to Prometheus, and nobody would be told. */
  function expectExceptions(namespace: string, saga: string): void {
    const key = `${namespace}/${saga}`;
    if (known.has(key)) return;
    known.add(key);
    for (const decision of ['Skip', 'Abort', 'LetGo'] as const)
      metrics.exceptions.inc({ namespace, saga, decision }, 0);
  }

  /** A write that the API server refuses (admission, quota, size) is tried again for ever: only a person can help. */
  function tellRefused(id: RunId, error: unknown): void {
    const cause = error instanceof JournalUnavailable ? error.cause : undefined;
    if (!(isInvalid(cause) || isForbidden(cause))) return;
    const { namespace, name } = placeOf(id);
    const run = runs.get(namespace, name);
    const note = `its status cannot be written, and is tried again until it can: ${cause.message}`;
    if (run !== undefined) recorder.event(run, { type: 'Warning', reason: 'JournalRefused', action: 'Write', note });
  }

  function tell(id: RunId, { level, reason, message, step }: Extract<Effect, { type: 'Notice' }>): void {
    if (reason === 'AttemptFailed')
      metrics.attemptsFailed.inc({ namespace: id.namespace, saga: id.saga, step: step ?? '' });
    if (level === 'Normal' && !budget.take()) return;
    const { namespace, name } = placeOf(id);
    const run = runs.get(namespace, name);
    if (run !== undefined)
      recorder.event(run, { type: level, reason, action: step === undefined ? 'Run' : camel(step), note: message });
  }
}

/** A token bucket. */
class Budget {
  readonly #perSecond: number;
  readonly #atOnce: number;
  readonly #clock: Clock;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, atOnce: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#atOnce = atOnce;
    this.#clock = clock;
    this.#tokens = atOnce;
    this.#at = clock.monotonic();
  }

  take(): boolean {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#atOnce, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** On the run's own clock, which no jump of a wall clock touches. */
function durationOf(state: RunState): number {
  return state.clock / 1000;
}

/** `reserve-stock` as an Event's action: `ReserveStock`. */
function camel(step: string): string {
  return step.replace(/(^|-)([a-z0-9])/g, (_, __, letter: string) => letter.toUpperCase());
}
