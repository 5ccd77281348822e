import type { SQSClient } from '@aws-sdk/client-sqs';
import { deadLetterUrl, MESSAGE, QueueUnfit, REASON } from '../aws/dead-letters.ts';
import { type Disposal, Receivers } from '../aws/receivers.ts';
import { Queue, type Received } from '../aws/sqs.ts';
import { JournalUnavailable } from '../journals/journal.ts';
import { excerpt } from '../participants/excerpt.ts';
import { Backoff, type BackoffOptions, backoffDelay } from '../runtime/backoff.ts';
import { type Clock, pause, systemClock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runnable } from '../runtime/manager.ts';
import type { Asked } from './events.ts';
import { type Intake, IntakeBusy, IntakeRefused } from './intake.ts';
import type { EventOutcome, IntakeMetrics } from './metrics.ts';
import type { TellRefused } from './refused.ts';
import { type Letter, openLetter, REDRIVEN, readLetter } from './sqs-message.ts';
import type { SqsIntakeMetrics } from './sqs-metrics.ts';
import { tracedBy } from './traced.ts';

/** How orders are taken from a queue. */
export interface SqsIntakeOptions {
  readonly client: SQSClient;
  /** A standard queue with a redrive policy. */
  readonly queueUrl: string;
  readonly intake: Intake;
  /** Tells who waits for an order that can never be taken. */
  readonly tellRefused: TellRefused;
  /** How long finished orders are remembered: what was placed before is refused. Milliseconds. @default 35 days */
  readonly remembered?: number;
  readonly metrics: IntakeMetrics;
  readonly queueMetrics: SqsIntakeMetrics;
  readonly logger: Logger;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Receives at once. @default 4 */
  readonly receivers?: number;
  /** Messages in hand at most. @default 200 */
  readonly maxInHand?: number;
  /** How long one receive waits for a message; a stop may take as long. Seconds. @default 10 */
  readonly wait?: number;
  /**
   * How long a message stays invisible to others, prolonged while work goes on: so long do those wait that a worker which died had in
   * hand. Seconds. @default 10
   */
  readonly visibility?: number;
  /** How long what is under way may take to end at a stop; the rest is given back. Milliseconds. @default 10000 */
  readonly grace?: number;
}

/** What a message waits for that cannot be taken now: longer each time it comes, so that it does not use up the receives that its redrive policy allows. */
const BUSY: BackoffOptions = { baseMs: 250, maxMs: 60_000, jitter: 0.5 };
const UNAVAILABLE: BackoffOptions = { baseMs: 1000, maxMs: 300_000, jitter: 0.5 };
const START: BackoffOptions = { baseMs: 250, maxMs: 10_000, jitter: 0.5 };

/** A cancel may come before its order. One whose order has not come in an hour is one of an order that was refused. */
const CANCEL_PATIENCE_MS = 3_600_000;

/**
 * Takes orders and cancels from an SQS queue: CloudEvents as the order service writes them, raw or in EventBridge's envelope.
 *
 * - A message is deleted only once the journal has what it asks for. Whatever happens before, it comes again, and taking it again changes nothing; so
 *   duplicates and messages out of order are harmless.
 * - No more is received than there is room for, so that it goes to a worker that has room.
 * - What is busy or has no journal is left, invisible until it is worth another try. While the journal is away, nothing more is received.
 * - What can never be taken goes to the dead-letter queue of the queue's redrive policy, with its reason; that policy is the backstop for a message
 *   that kills whoever takes it.
 */
export class SqsIntake implements Runnable {
  readonly name = 'sqs-intake';
  readonly needsLeaderElection = false;
  readonly #o: SqsIntakeOptions;
  readonly #clock: Clock;
  readonly #queue: Queue;
  #receivers: Receivers | undefined;

  constructor(options: SqsIntakeOptions) {
    this.#o = options;
    this.#clock = options.clock ?? systemClock;
    this.#queue = new Queue(options.client, options.queueUrl);
  }

  /** Messages that are received and not disposed of. */
  get inHand(): number {
    return this.#receivers?.inHand ?? 0;
  }

  /**
   * Receives until `signal` aborts; then finishes what is under way, and gives the rest back. SQS that does not answer is waited for.
   *
   * @throws QueueUnfit where the queue must be changed first
   */
  async start(signal: AbortSignal): Promise<void> {
    const { client, queueUrl, logger, grace = 10_000 } = this.#o;
    if (queueUrl.endsWith('.fifo'))
      throw new QueueUnfit(`${queueUrl} is a FIFO queue; intake needs no order, and a standard queue has no limit`);
    const url = await this.#deadLetterUrl(signal);
    if (url === undefined) return;
    const deadLetters = new Queue(client, url);
    const { intake, receivers, maxInHand, wait, visibility = 10 } = this.#o;
    this.#receivers = new Receivers({
      queue: this.#queue,
      clock: this.#clock,
      handle: (message) => this.#handle(message, deadLetters),
      onError: (error, doing) => logger.warn('the intake queue', { doing, queue: queueUrl, error }),
      onDisposed: (message, disposal) => this.#disposed(message, disposal),
      ...(receivers === undefined ? {} : { receivers }),
      ...(maxInHand === undefined ? {} : { maxInHand }),
      ...(wait === undefined ? {} : { wait }),
      visibility,
      room: () => intake.room,
    });
    this.#receivers.start();
    logger.info('intake receives', { queue: queueUrl, deadLetters: url });
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await this.#receivers.stop(grace);
  }

  /** Undefined when it is to stop before it began. */
  async #deadLetterUrl(signal: AbortSignal): Promise<string | undefined> {
    const backoff = new Backoff(START);
    while (!signal.aborted) {
      try {
        return await deadLetterUrl(this.#o.client, this.#queue);
      } catch (error) {
        if (error instanceof QueueUnfit) throw error;
        this.#o.logger.warn('the intake queue does not tell its redrive policy yet', { error });
        await pause(this.#clock, backoff.next(), signal);
      }
    }
    return undefined;
  }

  async #handle(message: Received, deadLetters: Queue): Promise<Disposal> {
    let letter: Letter | undefined;
    let asked: Asked | undefined;
    try {
      letter = openLetter(message.body);
      const { attributes } = message;
      const read = readLetter(letter, attributes[REDRIVEN], this.#clock.wall(), this.#o.remembered);
      asked = tracedBy(read, attributes['traceparent']);
      this.#count(await this.#carryOut(asked));
      return { do: 'Delete' };
    } catch (error) {
      const refusal = this.#refusalOf(error, asked, message);
      if (refusal !== undefined) return this.#putAside(message, letter, refusal, deadLetters);
      this.#count('Busy');
      if (error instanceof IntakeBusy)
        return { do: 'Return', after: Math.max(error.retryAfter, backoffDelay(BUSY, message.receives - 1)) };
      if (!(error instanceof JournalUnavailable))
        this.#o.logger.error('an order could not be taken', { event: letter?.name, message: message.id, error });
      return { do: 'Return', after: backoffDelay(UNAVAILABLE, message.receives - 1), outage: true };
    }
  }

  async #carryOut(asked: Asked): Promise<EventOutcome> {
    switch (asked.type) {
      case 'Placed':
        return this.#o.intake.take(asked.order);
      case 'Cancel':
        return (await this.#o.intake.cancel(asked.id, asked.reason, asked.traceparent)) === 'Told'
          ? 'Cancelled'
          : 'CancelTooLate';
      case 'Ignored':
        return 'Ignored';
    }
  }

  /** Why the message can never be taken; undefined when it may. */
  #refusalOf(error: unknown, asked: Asked | undefined, message: Received): IntakeRefused | undefined {
    if (error instanceof IntakeRefused) return error;
    const waited = this.#clock.wall() - message.firstReceivedAt;
    if (!(error instanceof IntakeBusy) || asked?.type !== 'Cancel' || waited < CANCEL_PATIENCE_MS) return undefined;
    return new IntakeRefused('OrderUnknown', `there is no run to cancel: ${error.message}`);
  }

  /** Poison: whoever waits for its order is told, a copy with its reason goes into the dead-letter queue, and only then it goes away from here. */
  async #putAside(
    message: Received,
    letter: Letter | undefined,
    refusal: IntakeRefused,
    deadLetters: Queue,
  ): Promise<Disposal> {
    const { reason, message: why } = refusal;
    try {
      if (letter !== undefined) await this.#o.tellRefused(letter.event, refusal);
    } catch (error) {
      this.#count('Busy');
      this.#o.logger.warn('an order was refused, and who waits for it cannot be told yet', {
        event: letter?.name,
        error,
      });
      return { do: 'Return', after: backoffDelay(UNAVAILABLE, message.receives - 1) };
    }
    const { traceparent } = message.attributes;
    const attributes = {
      [REASON]: reason,
      // SQS takes no empty value and no control character.
      [MESSAGE]: excerpt(why, 256) || reason,
      ...(traceparent === undefined ? {} : { traceparent }),
    };
    const outcome = await deadLetters.send({ body: message.body, attributes });
    if (outcome !== 'Done') throw new Error(`a dead letter was not taken: ${outcome.code}: ${outcome.message}`);
    this.#count('Refused');
    this.#o.metrics.refused.inc({ reason });
    this.#o.logger.error('a message can never be taken: it is in the dead-letter queue', {
      reason,
      why,
      event: letter?.name,
      message: message.id,
      deadLetters: deadLetters.url,
    });
    return { do: 'Delete' };
  }

  #count(outcome: EventOutcome): void {
    this.#o.metrics.events.inc({ outcome });
  }

  #disposed({ sentAt }: Received, disposal: Disposal): void {
    if (disposal.do === 'Delete') this.#o.queueMetrics.age.observe(Math.max(0, this.#clock.wall() - sentAt) / 1000);
  }
}
