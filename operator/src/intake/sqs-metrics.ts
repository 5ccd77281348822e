import { Gauge, Histogram, type Registry } from 'prom-client';

/** From a queue that flows to one that a journal's outage held up. */
const AGE_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400];

/** What is measured of the intake queue, beside what is measured of intake (metrics.ts). */
export interface SqsIntakeMetrics {
  /** Messages deleted, by how long they were in the queue. Seconds. */
  readonly age: Histogram;
}

/** Registers the metrics of the intake queue. `inHand` is asked at each scrape. */
export function sqsIntakeMetrics(registry: Registry, inHand: () => number): SqsIntakeMetrics {
  const registers = [registry];
  new Gauge({
    name: 'mercato_intake_messages_in_flight',
    help: 'Messages of the intake queue that are received and not disposed of.',
    registers,
    collect() {
      this.set(inHand());
    },
  });
  const age = new Histogram({
    name: 'mercato_intake_message_age_seconds',
    help: 'From the sending of a message of the intake queue to its deletion, once what it asks for is durable; the count is that of messages deleted.',
    buckets: AGE_BUCKETS,
    registers,
  });
  return { age };
}
