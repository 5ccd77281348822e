import { Counter, type Registry } from 'prom-client';

/** What became of an event. `Busy` comes again. */
export type EventOutcome = 'Begun' | 'Known' | 'Cancelled' | 'CancelTooLate' | 'Ignored' | 'Refused' | 'Busy';

/** What is measured of intake, whatever it comes over. */
export interface IntakeMetrics {
  readonly events: Counter<'outcome'>;
  readonly refused: Counter<'reason'>;
  readonly requests: Counter<'status'>;
}

/** Registers the metrics of intake. */
export function intakeMetrics(registry: Registry): IntakeMetrics {
  const registers = [registry];
  const metrics: IntakeMetrics = {
    events: new Counter({
      name: 'mercato_intake_events_total',
      help: 'Events that came in, by what became of them.',
      labelNames: ['outcome'],
      registers,
    }),
    refused: new Counter({
      name: 'mercato_intake_refused_total',
      help: 'Events that can never be taken and were put on record, by why.',
      labelNames: ['reason'],
      registers,
    }),
    requests: new Counter({
      name: 'mercato_intake_requests_total',
      help: 'Requests with events, by the status of their answer.',
      labelNames: ['status'],
      registers,
    }),
  };
  const outcomes = ['Begun', 'Known', 'Cancelled', 'CancelTooLate', 'Ignored', 'Refused', 'Busy'] as const;
  for (const outcome of outcomes) metrics.events.inc({ outcome }, 0);
  return metrics;
}
