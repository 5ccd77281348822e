import type { SQSClient, SQSClientConfig } from '@aws-sdk/client-sqs';
import type { TokenCheck } from '../auth/tokens.ts';
import { spread } from '../http/retry-after.ts';
import { commandOf, maxCommandBytes } from '../http/saga.ts';
import type { Answer } from '../participant/answer.ts';
import type { CommandRequest, Participant } from '../participant/participant.ts';
import { ProblemError } from '../problem.ts';
import type { Milliseconds } from '../units.ts';
import { Gathered } from './gathered.ts';
import { type QueueAddress, Receiver } from './receiver.ts';
import {
  deleteMessages,
  maxCallBytes,
  maxEntries,
  type OutgoingMessage,
  type ReceivedMessage,
  sendMessages,
  sizeOf,
} from './sqs.ts';

/** The queues of a participant: what Participant.spec.queue says. */
export interface CommandQueue extends QueueAddress {
  /** Answers go to queues whose URL is this, a hyphen and something more; to no others. */
  readonly answersUrl: string;
  /** How SQS is reached. @default as the AWS SDK's environment says */
  readonly sqs?: SQSClientConfig;
}

/** What became of a message with a command. */
export type CommandOutcome =
  | 'answered'
  /** Nobody waits for its answer any more. */
  | 'expired'
  /** It says no good place for its answer, so that nobody can be told anything; its redrive policy puts it aside. */
  | 'malformed'
  /** Its answer could not be sent: it comes again. */
  | 'unanswered';

export interface CommandConsumerOptions {
  readonly client: SQSClient;
  readonly queue: CommandQueue;
  readonly participant: Participant;
  readonly tokens: TokenCheck;
  readonly onError: (error: unknown) => void;
  /** @default nobody */
  readonly onOutcome?: (outcome: CommandOutcome) => void;
  /** Receives at once. @default 2 */
  readonly receivers?: number;
  /** Commands carried out at once; no more are received meanwhile. @default 500 */
  readonly maxInFlight?: number;
}

/**
 * How long a command that was received is nobody else's. Not prolonged: commands bound their own time, and a copy that comes while it is carried out is
 * answered 425, by the promise that makes repeats harmless.
 */
const VISIBILITY_SECONDS = 60;

/** Where an answer goes. */
interface Reply {
  readonly url: string;
  readonly correlation: string;
}

/**
 * Carries out the commands of a queue and sends each answer to the queue that its command names (docs/reference/participant-contract.md, "Over SQS"). A
 * command is deleted only after its answer was taken; one that comes again is answered again, as the contract's first promise has it.
 */
export class CommandConsumer {
  readonly #o: CommandConsumerOptions;
  readonly #receiver: Receiver;
  readonly #deletes: Gathered<string>;
  readonly #answers = new Map<string, Gathered<OutgoingMessage>>();

  constructor(options: CommandConsumerOptions) {
    this.#o = options;
    const { client, queue, onError, receivers, maxInFlight } = options;
    this.#deletes = new Gathered((receipts) => deleteMessages(client, queue.url, receipts), maxEntries);
    this.#receiver = new Receiver({
      client,
      queue,
      visibility: VISIBILITY_SECONDS,
      handle: (message) => this.#handle(message).then((outcome) => options.onOutcome?.(outcome), onError),
      onError,
      ...(receivers === undefined ? {} : { receivers }),
      ...(maxInFlight === undefined ? {} : { maxInFlight }),
    });
  }

  start(): void {
    this.#receiver.start();
  }

  /** Receives no more, and ends what is under way; what takes longer than `grace` comes again. */
  stop(grace?: Milliseconds): Promise<void> {
    return this.#receiver.stop(grace);
  }

  async #handle(message: ReceivedMessage): Promise<CommandOutcome> {
    const reply = this.#replyOf(message);
    if (reply === undefined) {
      this.#o.onError(new Error(`message ${message.id} names no queue of answers that this service may send to`));
      return 'malformed';
    }
    const outcome = isExpired(message) ? 'expired' : await this.#answer(message, reply);
    if (outcome === 'unanswered') return outcome;
    const failure = await this.#deletes.add(message.receipt);
    if (failure !== undefined) this.#o.onError(new Error(`message ${message.id} is not deleted: ${failure}`));
    return outcome;
  }

  async #answer(message: ReceivedMessage, { url, correlation }: Reply): Promise<CommandOutcome> {
    const answer = await this.#carryOut(message);
    const { traceparent } = message.attributes;
    const attributes = {
      'mercato-correlation': correlation,
      ...(traceparent === undefined ? {} : { traceparent }),
    };
    try {
      const failure = await this.#answersTo(url).add({ body: JSON.stringify(answer), attributes });
      if (failure === undefined) return 'answered';
      this.#o.onError(new Error(`the answer to message ${message.id} was not taken: ${failure}`));
    } catch (error) {
      // Whoever asked is gone, with its queue.
      if ((error as Error).name === 'QueueDoesNotExist') return 'expired';
      this.#o.onError(error);
    }
    return 'unanswered';
  }

  async #carryOut({ body, attributes }: ReceivedMessage): Promise<Answer> {
    try {
      await this.#o.tokens.check(attributes['authorization']);
      return await this.#o.participant.execute(parsed(body));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      const { problem } = error;
      return { status: problem.status, body: problem, ...(problem.status === 503 ? { retryAfter: spread(1) } : {}) };
    }
  }

  #replyOf({ attributes }: ReceivedMessage): Reply | undefined {
    const url = attributes['mercato-reply-to'];
    const correlation = attributes['mercato-correlation'];
    if (url === undefined || correlation === undefined || !url.startsWith(`${this.#o.queue.answersUrl}-`))
      return undefined;
    return { url, correlation };
  }

  #answersTo(url: string): Gathered<OutgoingMessage> {
    let answers = this.#answers.get(url);
    if (answers === undefined) {
      // Operators come and go; the oldest is the likeliest to be gone.
      if (this.#answers.size >= 1000) this.#answers.delete(this.#answers.keys().next().value!);
      answers = new Gathered(
        (messages) => sendMessages(this.#o.client, url, messages),
        maxEntries,
        maxCallBytes,
        sizeOf,
      );
      this.#answers.set(url, answers);
    }
    return answers;
  }
}

/** @throws ProblemError 413, 400 */
function parsed(text: string): CommandRequest {
  let item: unknown;
  try {
    item = JSON.parse(text);
  } catch {
    throw new ProblemError(400, 'BadRequest', 'the message is no JSON');
  }
  const command = commandOf(item);
  // Written again only where it may be too large.
  if (text.length > maxCommandBytes / 4 && Buffer.byteLength(JSON.stringify(command.body) ?? '') > maxCommandBytes)
    throw new ProblemError(413, 'TooLarge', `the body may have ${maxCommandBytes} bytes`);
  return command;
}

/** Told by the queue's own clock, so that no clock that is wrong can make every command too old. */
function isExpired({ attributes, waited }: ReceivedMessage): boolean {
  const timeout = Number(attributes['mercato-timeout'] ?? Number.POSITIVE_INFINITY);
  return waited > timeout;
}
