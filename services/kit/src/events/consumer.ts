import { ChangeMessageVisibilityCommand, type SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import type { Inbox } from '../inbox/inbox.ts';
import { ProblemError } from '../problem.ts';
import { deadLetterMessage, deadLetterReason, deadLetterUrl } from '../queue/dead-letters.ts';
import { Gathered } from '../queue/gathered.ts';
import { type QueueAddress, Receiver } from '../queue/receiver.ts';
import { deleteMessages, maxEntries, type ReceivedMessage, sendMessages, sqsClient } from '../queue/sqs.ts';
import { type Milliseconds, milliseconds } from '../units.ts';
import { eventIn } from './envelope.ts';

/** A queue of other services' events, that a rule of the bus fills. */
export interface EventQueue extends QueueAddress {
  /** How SQS is reached. @default as the AWS SDK's environment says */
  readonly sqs?: SQSClientConfig;
}

/**
 * What became of a message with an event. `taken`: the inbox has it, or wanted none of it. `poison`: nobody can ever read it; it is in the dead-letter queue.
 * `returned`: it could not be taken now, and comes again.
 */
export type EventOutcome = 'taken' | 'poison' | 'returned';

export interface EventConsumerOptions {
  readonly client: SQSClient;
  readonly queue: EventQueue;
  readonly inbox: Pick<Inbox, 'receive'>;
  readonly onError: (error: unknown) => void;
  /** @default nobody */
  readonly onOutcome?: (outcome: EventOutcome) => void;
  /** The first pause after a failure, which then doubles. Milliseconds. @default 1000 */
  readonly retry?: number;
}

/** Over what an inbox takes for one event. */
const VISIBILITY_SECONDS = 60;
const MOST_RETRY_MS = 300_000;
/** While the store is away nothing is received for up to this. */
const MOST_REST_MS = 10_000;

/**
 * Takes events from an SQS queue, raw or in EventBridge's envelope. A message is deleted only after the inbox has its event; what cannot be taken now is
 * hidden until it is worth another try, longer each time, so that an outage does not use up the receives that its redrive policy allows. What can never be
 * taken goes to the dead-letter queue with its reason. Twice or out of order is harmless: the inbox drops what it had and what is stale.
 */
export class EventConsumer {
  readonly #o: EventConsumerOptions;
  readonly #receiver: Receiver;
  readonly #deletes: Gathered<string>;
  #deadLetters: Promise<string> | undefined;

  constructor(options: EventConsumerOptions) {
    this.#o = options;
    const { client, queue, onError } = options;
    this.#deletes = new Gathered((receipts) => deleteMessages(client, queue.url, receipts), maxEntries);
    const handle = (message: ReceivedMessage) =>
      this.#handle(message).then((outcome) => this.#o.onOutcome?.(outcome), onError);
    this.#receiver = new Receiver({ client, queue, visibility: VISIBILITY_SECONDS, handle, onError });
  }

  /** Receives; says at once where the queue has no dead-letter queue. */
  start(): void {
    this.#deadLetterUrl().catch(this.#o.onError);
    this.#receiver.start();
  }

  /** Receives no more, and ends what is under way. */
  stop(grace?: Milliseconds): Promise<void> {
    return this.#receiver.stop(grace);
  }

  async #handle(message: ReceivedMessage): Promise<EventOutcome> {
    try {
      await this.#o.inbox.receive(eventIn(message.body));
    } catch (error) {
      if (error instanceof ProblemError && error.problem.status < 500) return this.#putAside(message, error);
      return this.#return(message, error);
    }
    await this.#delete(message);
    return 'taken';
  }

  /** A copy with its reason into the dead-letter queue, and only then away from here. */
  async #putAside(message: ReceivedMessage, { problem }: ProblemError): Promise<EventOutcome> {
    const { reason = 'BadMessage', detail } = problem;
    const why = printable(detail) || reason;
    const attributes = { [deadLetterReason]: reason, [deadLetterMessage]: why };
    const deadLetters = await this.#deadLetterUrl();
    const [failure] = await sendMessages(this.#o.client, deadLetters, [{ body: message.body, attributes }]);
    if (failure !== undefined) throw new Error(`message ${message.id} was not put aside: ${failure}`);
    this.#o.onError(new Error(`message ${message.id} can never be taken and is in ${deadLetters}: ${reason}: ${why}`));
    await this.#delete(message);
    return 'poison';
  }

  async #return(message: ReceivedMessage, error: unknown): Promise<EventOutcome> {
    this.#o.onError(error);
    const grown = (this.#o.retry ?? 1000) * 2 ** Math.min(message.receives - 1, 20);
    this.#receiver.rest(milliseconds(Math.min(MOST_REST_MS, grown)));
    const hidden = new ChangeMessageVisibilityCommand({
      QueueUrl: this.#o.queue.url,
      ReceiptHandle: message.receipt,
      VisibilityTimeout: Math.ceil(Math.min(MOST_RETRY_MS, grown) / 1000),
    });
    // Otherwise it comes again after its visibility.
    await this.#o.client.send(hidden).catch(this.#o.onError);
    return 'returned';
  }

  async #delete({ id, receipt }: ReceivedMessage): Promise<void> {
    const failure = await this.#deletes.add(receipt);
    if (failure !== undefined) this.#o.onError(new Error(`message ${id} is not deleted and comes again: ${failure}`));
  }

  #deadLetterUrl(): Promise<string> {
    this.#deadLetters ??= deadLetterUrl(this.#o.client, this.#o.queue.url).catch((error: unknown) => {
      this.#deadLetters = undefined;
      throw error;
    });
    return this.#deadLetters;
  }
}

/** One line: SQS takes no control characters in an attribute. */
const printable = (text: string): string =>
  text
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .slice(0, 256)
    .trim();

/** Takes the events of a queue until it is stopped, with a client of its own where none is given. */
export function takeEventsFrom(
  options: Omit<EventConsumerOptions, 'client'> & Partial<Pick<EventConsumerOptions, 'client'>>,
): Pick<EventConsumer, 'stop'> {
  const client = options.client ?? sqsClient(options.queue.sqs);
  const consumer = new EventConsumer({ ...options, client });
  consumer.start();
  return {
    async stop(grace) {
      await consumer.stop(grace);
      client.destroy();
    },
  };
}
