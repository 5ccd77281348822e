import type { SQSClient } from '@aws-sdk/client-sqs';
import { deadLetterUrl, MESSAGE, QueueUnfit, REASON } from '../aws/dead-letters.ts';
import { type Disposal, Receivers } from '../aws/receivers.ts';
import { Queue, type Received } from '../aws/sqs.ts';
import { JournalUnavailable } from '../journals/journal.ts';
import { excerpt } from '../participants/excerpt.ts';
import { Backoff, backoffDelay } from '../runtime/backoff.ts';
import { type Clock, pause, systemClock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Asked } from './events.ts';
import { type Intake, IntakeBusy, IntakeRefused } from './intake.ts';
import { type Letter, openLetter, REDRIVEN, readLetter } from './sqs-message.ts';
import type { MessageOutcome, SqsIntakeObserver } from './sqs-metrics.ts';

/** How orders are taken from a queue. */
export interface SqsIntakeOptions {
  readonly client: SQSClient;
  readonly queueUrl: string;
  readonly intake: Intake;
  readonly logger: Logger;
  /** @default nobody */
  readonly observer?: SqsIntakeObserver;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Receives at once. @default 4 */
  readonly receivers?: number;
  /** Messages in hand at most. @default 200 */
  readonly maxInHand?: number;
  /** How long one receive waits for a message; a stop may take as long. Seconds. @default 10 */
  readonly wait?: number;
  /** How long a message stays invisible to others, prolonged while work goes on. Seconds. @default 30 */
  readonly visibility?: number;
}

/** Where a message is taken from, and what cannot be taken is put. */
interface Queues {
  readonly queue: Queue;
  readonly deadLetters: Queue;
}

/** What a message that the journal could not take waits for: longer each time it comes. */
const UNAVAILABLE = { baseMs: 1000, maxMs: 300_000, jitter: 0.5 } as const;
const START = { baseMs: 250, maxMs: 10_000, jitter: 0.5 } as const;

/**
 * Takes orders and cancels from an SQS queue: CloudEvents as the order service writes them, raw or in EventBridge's envelope.
 *
 * - A message is deleted only once the journal has what it asks for. Whatever happens before, it comes again, and taking it again changes nothing; so
 *   duplicates and messages out of order are harmless.
 * - What is busy or has no journal is left, invisible until it is worth another try. While the journal is away, nothing more is received.
 * - What can never be taken goes to the dead-letter queue of the queue's redrive policy, with its reason; that policy is the backstop for a message
 *   that kills whoever takes it.
 */
export class SqsIntake {
  readonly #options: SqsIntakeOptions;
  readonly #clock: Clock;
  readonly #queue: Queue;
  readonly #stopping = new AbortController();
  #starting: Promise<void> | undefined;
  #receivers: Receivers | undefined;

  constructor(options: SqsIntakeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#queue = new Queue(options.client, options.queueUrl);
  }

  /** Messages that are received and not disposed of. */
  get inHand(): number {
    return this.#receivers?.inHand ?? 0;
  }

  /**
   * Begins to receive; resolves once it does. SQS that does not answer is waited for.
   *
   * @throws QueueUnfit where the queue must be changed first
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Receives no more, finishes what is under way for up to `grace` milliseconds, and gives the rest back at once. */
  async stop(grace = 10_000): Promise<void> {
    this.#stopping.abort();
    await this.#starting?.catch(() => {});
    await this.#receivers?.stop(grace);
  }

  async #start(): Promise<void> {
    const { client, queueUrl, logger, receivers, maxInHand, wait, visibility } = this.#options;
    if (queueUrl.endsWith('.fifo'))
      throw new QueueUnfit(`${queueUrl} is a FIFO queue; intake needs no order, and a standard queue has no limit`);
    const url = await this.#deadLetterUrl();
    if (url === undefined) return;
    const queues = { queue: this.#queue, deadLetters: new Queue(client, url) };
    this.#receivers = new Receivers({
      queue: this.#queue,
      clock: this.#clock,
      handle: (message) => this.#handle(queues, message),
      onError: (error, doing) => logger.warn('the intake queue', { doing, queue: queueUrl, error }),
      onDisposed: (message, disposal) => this.#disposed(message, disposal),
      ...(receivers === undefined ? {} : { receivers }),
      ...(maxInHand === undefined ? {} : { maxInHand }),
      ...(wait === undefined ? {} : { wait }),
      ...(visibility === undefined ? {} : { visibility }),
    });
    this.#receivers.start();
  }

  /** Undefined when it is stopped before it began. */
  async #deadLetterUrl(): Promise<string | undefined> {
    const { signal } = this.#stopping;
    const backoff = new Backoff(START);
    while (!signal.aborted) {
      try {
        return await deadLetterUrl(this.#options.client, this.#queue);
      } catch (error) {
        if (error instanceof QueueUnfit) throw error;
        this.#options.logger.warn('the intake queue does not tell its redrive policy yet', { error });
        await pause(this.#clock, backoff.next(), signal);
      }
    }
    return undefined;
  }

  async #handle(queues: Queues, message: Received): Promise<Disposal> {
    let letter: Letter | undefined;
    try {
      letter = openLetter(message.body);
      const asked = readLetter(letter, message.attributes[REDRIVEN], this.#clock.wall());
      this.#count(await this.#carryOut(asked));
      return { do: 'Delete' };
    } catch (error) {
      if (error instanceof IntakeRefused) return this.#putAside(queues, message, letter, error);
      if (error instanceof IntakeBusy) {
        this.#count('busy');
        return { do: 'Return', after: error.retryAfter };
      }
      this.#count('unavailable');
      if (!(error instanceof JournalUnavailable))
        this.#options.logger.error('an order could not be taken', { event: letter?.name, message: message.id, error });
      return { do: 'Return', after: backoffDelay(UNAVAILABLE, message.receives - 1), outage: true };
    }
  }

  async #carryOut(asked: Asked): Promise<MessageOutcome> {
    switch (asked.type) {
      case 'Placed':
        return (await this.#options.intake.take(asked.order)) === 'Begun' ? 'begun' : 'known';
      case 'Cancel':
        await this.#options.intake.cancel(asked.id, asked.reason);
        return 'cancel';
      case 'Ignored':
        return 'ignored';
    }
  }

  /** Poison: a copy with its reason into the dead-letter queue, and only then away from here. */
  async #putAside(
    { deadLetters }: Queues,
    message: Received,
    letter: Letter | undefined,
    refusal: IntakeRefused,
  ): Promise<Disposal> {
    const outcome = await deadLetters.send({ body: message.body, attributes: labels(message, refusal) });
    if (outcome !== 'Done') throw new Error(`a dead letter was not taken: ${outcome.code}: ${outcome.message}`);
    this.#count('poison');
    this.#options.logger.error('a message can never be taken: it is in the dead-letter queue', {
      reason: refusal.reason,
      why: refusal.message,
      event: letter?.name,
      message: message.id,
      deadLetters: deadLetters.url,
    });
    return { do: 'Delete' };
  }

  #count(outcome: MessageOutcome): void {
    this.#options.observer?.handled(outcome);
  }

  #disposed(message: Received, disposal: Disposal): void {
    if (disposal.do === 'Delete')
      this.#options.observer?.deleted(Math.max(0, this.#clock.wall() - message.sentAt) / 1000);
  }
}

/** Attributes of a dead letter. SQS takes no empty value and no control character. */
function labels({ attributes }: Received, { reason, message }: IntakeRefused): Record<string, string> {
  const { traceparent } = attributes;
  return {
    [REASON]: reason,
    [MESSAGE]: excerpt(message, 256) || reason,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
