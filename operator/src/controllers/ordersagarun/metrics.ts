import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** How long orders take, from tens of milliseconds to the hours that a hold can last. */
const RUN_BUCKETS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What is measured of runs. Labels are bounded: no order and no run is in them. */
export interface RunMetrics {
  readonly started: Counter<'namespace' | 'saga' | 'how'>;
  readonly finished: Counter<'namespace' | 'saga' | 'outcome'>;
  readonly duration: Histogram<'namespace' | 'saga' | 'outcome'>;
  readonly compensations: Counter<'namespace' | 'saga' | 'step' | 'reason'>;
  readonly holds: Counter<'namespace' | 'saga' | 'step' | 'reason'>;
  readonly attemptsFailed: Counter<'namespace' | 'saga' | 'step'>;
  readonly decisions: Counter<'namespace' | 'saga' | 'outcome'>;
  readonly exceptions: Counter<'namespace' | 'saga' | 'decision'>;
  readonly dropped: Counter<'why'>;
  readonly journalFailures: Counter<string>;
  readonly requests: Histogram<'participant' | 'command' | 'answer'>;
}

/** Registers the metrics of runs. `active` and `held` are asked at each scrape. */
export function runMetrics(registry: Registry, active: () => number, held: () => number): RunMetrics {
  const registers = [registry];
  const saga = ['namespace', 'saga'] as const;
  gauge(registry, 'mercato_saga_runs_active', 'Runs that this process drives, held ones included.', active);
  gauge(registry, 'mercato_saga_runs_held', 'Runs that wait for a decision.', held);
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const dropped = counter(
    'mercato_saga_runs_dropped_total',
    'Runs given up because another writer has them (Taken) or their object is gone (Gone).',
    ['why'],
  );
  // Series exist from the start, so that an increase to the first one is not lost.
  for (const why of ['Taken', 'Gone']) dropped.inc({ why }, 0);
  return {
    started: counter('mercato_saga_runs_started_total', 'Runs taken up: new, taken over, or with a damaged journal.', [
      ...saga,
      'how',
    ]),
    finished: counter('mercato_saga_runs_finished_total', 'Runs that ended, by outcome.', [...saga, 'outcome']),
    duration: new Histogram({
      name: 'mercato_saga_run_duration_seconds',
      help: 'From the begin of a run to its end, pauses and holds included.',
      labelNames: [...saga, 'outcome'],
      buckets: RUN_BUCKETS,
      registers,
    }),
    compensations: counter('mercato_saga_compensations_total', 'Runs that turned back, by where and why.', [
      ...saga,
      'step',
      'reason',
    ]),
    holds: counter('mercato_saga_holds_total', 'Holds, by where and why.', [...saga, 'step', 'reason']),
    attemptsFailed: counter('mercato_saga_attempts_failed_total', 'Attempts without a final answer.', [
      ...saga,
      'step',
    ]),
    decisions: counter('mercato_saga_decisions_total', "People's decisions, by whether they were accepted.", [
      ...saga,
      'outcome',
    ]),
    exceptions: counter('mercato_saga_exceptions_total', 'Exception records.', [...saga, 'decision']),
    dropped,
    journalFailures: counter('mercato_journal_failures_total', 'Journal writes that failed and were tried again.', []),
    requests: new Histogram({
      name: 'mercato_participant_request_duration_seconds',
      help: 'Commands to participants, by how their answer was read.',
      labelNames: ['participant', 'command', 'answer'],
      buckets: REQUEST_BUCKETS,
      registers,
    }),
  };
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
