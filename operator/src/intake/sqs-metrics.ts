import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What became of a message. */
export type MessageOutcome = (typeof OUTCOMES)[number];

const OUTCOMES = ['begun', 'known', 'cancel', 'ignored', 'busy', 'unavailable', 'poison'] as const;

/** From a queue that flows to one that a journal's outage held up. */
const AGE_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400];

/** Hears what comes over the intake queue. Must not throw. */
export interface SqsIntakeObserver {
  /** A message was dealt with: deleted, put aside, or left for later. */
  handled(outcome: MessageOutcome): void;
  /** A message is gone from the queue, so many seconds after it was sent. */
  deleted(age: number): void;
}

/** Registers the metrics of the intake queue. `inHand` is asked at each scrape. */
export function sqsIntakeMetrics(registry: Registry, inHand: () => number): SqsIntakeObserver {
  const registers = [registry];
  new Gauge({
    name: 'mercato_intake_messages_in_flight',
    help: 'Messages of the intake queue that are received and not disposed of.',
    registers,
    collect() {
      this.set(inHand());
    },
  });
  const handled = new Counter({
    name: 'mercato_intake_messages_total',
    help: 'Messages of the intake queue, by what became of them.',
    labelNames: ['outcome'],
    registers,
  });
  // Series exist from the start, so that an increase to the first poison message is not lost.
  for (const outcome of OUTCOMES) handled.inc({ outcome }, 0);
  const age = new Histogram({
    name: 'mercato_intake_message_age_seconds',
    help: 'From the sending of a message to its deletion, once what it asks for is durable.',
    buckets: AGE_BUCKETS,
    registers,
  });
  return { handled: (outcome) => handled.inc({ outcome }), deleted: (seconds) => age.observe(seconds) };
}
