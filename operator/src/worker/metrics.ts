import { Counter, Gauge, type Registry } from 'prom-client';

/** Why a run that a worker has does not go on yet. */
export type Waits = 'MaxActive' | 'SagaNotFound' | 'SagaNotAccepted' | 'RevisionNotFound' | 'JournalTooNew';

/** What is measured of a worker. */
export interface WorkerMetrics {
  /** Runs taken from those that nobody alive drives. */
  readonly claimed: Counter<'died'>;
  readonly beats: Counter<'outcome'>;
  /** Rounds of the worker's housekeeping that failed and are tried again. */
  readonly failures: Counter<'what'>;
  readonly mail: Counter<'type'>;
}

/** Read at each scrape. */
export interface WorkerSight {
  /** Runs in memory: driven, held and waiting ones. */
  inWork(): number;
  /** Held runs that are in the journal only. */
  resting(): number;
  /** How many runs wait, by what they wait for. */
  waiting(): Readonly<Partial<Record<Waits, number>>>;
  /** Workers that live, as of the last beat; 0 before the first. */
  workers(): number;
}

/** Registers the metrics of a worker. */
export function workerMetrics(registry: Registry, sight: WorkerSight): WorkerMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge(
    'mercato_worker_runs_in_work',
    'Runs that this worker has in memory, waiting ones included; ten at rest count as one.',
    () => sight.inWork(),
  );
  gauge(
    'mercato_worker_runs_resting',
    'Held runs of this worker that are in the journal only, until somebody decides.',
    () => sight.resting(),
  );
  gauge('mercato_worker_workers', 'Workers of the journal that live, as of the last beat.', () => sight.workers());
  new Gauge({
    name: 'mercato_worker_runs_waiting',
    help: 'Runs that this worker has and does not drive yet, by what they wait for.',
    labelNames: ['for'],
    registers,
    collect() {
      this.reset();
      this.set({ for: 'MaxActive' }, 0);
      for (const [what, count] of Object.entries(sight.waiting())) this.set({ for: what }, count);
    },
  });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const metrics: WorkerMetrics = {
    claimed: counter('mercato_worker_runs_claimed_total', 'Runs taken over, by whether their worker had died.', [
      'died',
    ]),
    beats: counter('mercato_worker_beats_total', 'Signs of life to the journal.', ['outcome']),
    failures: counter(
      'mercato_worker_failures_total',
      'Rounds that failed and are tried again, by what they were for.',
      ['what'],
    ),
    mail: counter('mercato_worker_mail_total', 'What people and programs wanted of runs, and the runs were told.', [
      'type',
    ]),
  };
  // Series exist from the start, so that an increase to the first one is not lost.
  for (const died of ['true', 'false']) metrics.claimed.inc({ died }, 0);
  for (const outcome of ['Succeeded', 'Failed']) metrics.beats.inc({ outcome }, 0);
  for (const type of ['Decision', 'Cancel']) metrics.mail.inc({ type }, 0);
  return metrics;
}
