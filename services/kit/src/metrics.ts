import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EventOutcome } from './events/consumer.ts';
import type { Receipt } from './inbox/inbox.ts';
import type { OutboxSource, Subscriber } from './outbox/source.ts';
import type { Answer } from './participant/answer.ts';
import type { CommandOutcome } from './queue/consumer.ts';
import type { Gathered } from './store/port.ts';

const OUTCOMES: readonly (keyof Receipt)[] = ['applied', 'duplicate', 'stale', 'ignored', 'unsubscribed'];

// A service's own metrics are made of the same classes.
export { Counter, Gauge } from 'prom-client';

const COMMAND_OUTCOMES: readonly CommandOutcome[] = ['answered', 'expired', 'malformed', 'unanswered'];

const EVENT_OUTCOMES: readonly EventOutcome[] = ['taken', 'poison', 'returned'];

/** A service's metrics, in a registry of its own so that several services can live in one process. */
export class ServiceMetrics {
  readonly registry = new Registry();
  readonly #answers: Counter<'command' | 'status'>;
  readonly #seconds: Histogram<'command'>;
  readonly #group: Histogram;
  readonly #commit: Histogram;
  readonly #gatheredChanges: Counter<'of'>;
  readonly #gatheredRows: Counter<'of'>;
  readonly #received: Counter<'outcome'>;
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #requestSeconds: Histogram<'method' | 'route'>;
  readonly inFlight: Gauge;
  readonly overloaded: Counter;

  constructor(service: string) {
    this.registry.setDefaultLabels({ service });
    const registers = [this.registry];
    this.#answers = new Counter({
      name: 'mercato_commands_total',
      help: 'Answers to saga commands, by command and status',
      labelNames: ['command', 'status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'mercato_command_seconds',
      help: 'Time from the parsed request to its answer',
      labelNames: ['command'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.#group = new Histogram({
      name: 'mercato_store_group_operations',
      help: 'Operations in one commit',
      buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000],
      registers,
    });
    this.#commit = new Histogram({
      name: 'mercato_store_commit_seconds',
      help: 'Time to carry out and commit one group',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
      registers,
    });
    this.#gatheredChanges = new Counter({
      name: 'mercato_store_gathered_changes_total',
      help: 'Changes of rows that the operations of a commit share',
      labelNames: ['of'],
      registers,
    });
    this.#gatheredRows = new Counter({
      name: 'mercato_store_gathered_rows_total',
      help: 'Writes of rows that these changes came to',
      labelNames: ['of'],
      registers,
    });
    this.#received = new Counter({
      name: 'mercato_inbox_events_total',
      help: 'Events received from other services, by what came of them',
      labelNames: ['outcome'],
      registers,
    });
    // Series exist from the start, so that an increase to the first ignored event is not lost.
    for (const outcome of OUTCOMES) this.#received.inc({ outcome }, 0);
    this.#requests = new Counter({
      name: 'mercato_http_requests_total',
      help: 'Answers of the API other than to saga commands, by operation and status',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: 'mercato_http_request_seconds',
      help: 'Time from a request of the API to the end of its answer',
      labelNames: ['method', 'route'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.inFlight = new Gauge({ name: 'mercato_http_in_flight', help: 'Commands being carried out', registers });
    this.overloaded = new Counter({
      name: 'mercato_http_overloaded_total',
      help: 'Requests turned away with 429',
      registers,
    });
  }

  /** For ParticipantOptions.onAnswer. */
  readonly onAnswer = (command: string, answer: Answer, seconds: number): void => {
    this.#answers.inc({ command, status: answer.status });
    this.#seconds.observe({ command }, seconds);
  };

  /** For `mount` and `rawRouter`: told each answer of an operation. */
  readonly onAnswered = (method: string, route: string, status: number, seconds: number): void => {
    this.#requests.inc({ method, route, status });
    this.#requestSeconds.observe({ method, route }, seconds);
  };

  /** For SqliteOptions.onCommit. */
  readonly onCommit = (operations: number, seconds: number): void => {
    this.#group.observe(operations);
    this.#commit.observe(seconds);
  };

  /** For SqliteOptions.onGathered. */
  readonly onGathered = ({ of, changes, rows }: Gathered): void => {
    this.#gatheredChanges.inc({ of }, changes);
    this.#gatheredRows.inc({ of }, rows);
  };

  /** For InboxOptions.onReceived. */
  readonly onReceived = (receipt: Receipt): void => {
    for (const [outcome, count] of Object.entries(receipt)) this.#received.inc({ outcome }, count);
  };

  /** Counts the commands of a queue. @returns what is told each outcome */
  watchCommandQueue(): (outcome: CommandOutcome) => void {
    const outcomes = new Counter({
      name: 'mercato_queue_commands_total',
      help: 'Commands received from the queue, by what became of them',
      labelNames: ['outcome'],
      registers: [this.registry],
    });
    for (const outcome of COMMAND_OUTCOMES) outcomes.inc({ outcome }, 0);
    return (outcome) => outcomes.inc({ outcome });
  }

  /** Counts the messages of a queue of events. @returns what is told each outcome */
  watchEventQueue(): (outcome: EventOutcome) => void {
    const outcomes = new Counter({
      name: 'mercato_queue_events_total',
      help: 'Messages received from the queue of events, by what became of them',
      labelNames: ['outcome'],
      registers: [this.registry],
    });
    for (const outcome of EVENT_OUTCOMES) outcomes.inc({ outcome }, 0);
    return (outcome) => outcomes.inc({ outcome });
  }

  /** Shows how far behind each subscriber is, asked whenever metrics are read. */
  watchOutbox(subscribers: readonly Subscriber[], outbox: Pick<OutboxSource, 'backlog'>): void {
    new Gauge({
      name: 'mercato_outbox_backlog',
      help: 'Events that a subscriber has not taken yet',
      labelNames: ['subscriber'],
      registers: [this.registry],
      async collect() {
        for (const each of subscribers) this.set({ subscriber: each.url }, await outbox.backlog(each));
      },
    });
  }
}
