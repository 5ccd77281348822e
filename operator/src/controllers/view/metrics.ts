import { Counter, Gauge, type Registry } from 'prom-client';
import type { WallMillis } from '../../saga/types.ts';
import type { Undelivered } from './status.ts';

/** What is measured of Views. */
export interface ViewMetrics {
  readonly views: Gauge<string>;
  readonly excess: Gauge<string>;
  readonly closed: Gauge<string>;
  readonly failures: Counter<string>;
  readonly decisions: Counter<'outcome'>;
  /** A round went well at this moment. */
  kept(at: WallMillis): void;
}

/** Registers the metrics of Views. */
export function viewMetrics(registry: Registry): ViewMetrics {
  const registers = [registry];
  const lastRound = new Gauge({
    name: 'mercato_views_kept_timestamp_seconds',
    help: 'When Views last were what the journal says; 0 before that.',
    registers,
  });
  const decisions = new Counter({
    name: 'mercato_view_decisions_total',
    help: 'Decisions of people that were carried to the journal, and those that found no open run.',
    labelNames: ['outcome'],
    registers,
  });
  // Series exist from the start, so that an increase to the first one is not lost.
  for (const outcome of ['Posted', 'NotFound', 'Ended'] satisfies ('Posted' | Undelivered)[])
    decisions.inc({ outcome }, 0);
  return {
    views: new Gauge({ name: 'mercato_views', help: 'OrderSagaRuns of mode View that are open.', registers }),
    closed: new Gauge({
      name: 'mercato_views_closed',
      help: 'Views that people asked for and that are closed, because too many are asked for.',
      registers,
    }),
    excess: new Gauge({
      name: 'mercato_views_excess',
      help: 'Runs that need a person and do not show as Views, because there are too many.',
      registers,
    }),
    failures: new Counter({
      name: 'mercato_view_rounds_failed_total',
      help: 'Rounds that could not bring Views up to date.',
      registers,
    }),
    decisions,
    kept: (at) => lastRound.set(at / 1000),
  };
}
