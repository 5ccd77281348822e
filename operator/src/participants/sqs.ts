import { randomUUID } from 'node:crypto';
import type { SqsClientOptions } from '../aws/sqs.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Answer, RunId } from '../saga/types.ts';
import { type Expected, readItem } from './answer.ts';
import { type CheckedQueueConfig, checkQueueConfig, type QueueParticipantConfig } from './config.ts';
import { Outgoing, WITHHELD } from './outgoing.ts';
import type { Lane, SendEffect, SendObserver } from './participants.ts';
import { batchItem, writeCommand } from './request.ts';
import type { SqsLink } from './sqs-link.ts';
import type { TokenSource } from './tokens.ts';

/** How the adapter of a participant behind queues is made. */
export interface SqsParticipantOptions {
  /** The Participant's name, for metrics and messages. */
  readonly name: string;
  readonly config: QueueParticipantConfig;
  readonly tokens: TokenSource;
  /** @default none */
  readonly observer?: SendObserver;
  /** Told what went wrong with the queue of answers, which goes on. @default nobody */
  readonly onError?: (error: unknown, doing: string) => void;
  /** How long one receive of answers waits. Seconds. @default 20 */
  readonly wait?: number;
  /** @default as the AWS SDK's environment says */
  readonly sqs?: SqsClientOptions;
  /** @default the machine's clock */
  readonly clock?: Clock;
}

/** How soon to ask again where only the platform can help. */
const PLATFORM_RETRY_MS = 5000;
const TOKEN_RETRY_MS = 1000;

/**
 * Carries commands to one participant over SQS (docs/reference/participant-contract.md, "Over SQS").
 *
 * - Each command is a message of its own, sent in batches of ten; its answer comes over this process's own queue and is told by a number that only this
 *   sending has. An answer that comes too late, twice, or to a process that died is dropped: repeating the key gives it again.
 * - At most `maxInFlight` commands wait for their answer at once; the rest wait in order, as over HTTP.
 * - What the queue does not take is `Unknown`, as a service that cannot be reached: it counts for the circuit.
 *
 * @throws ParticipantConfigError
 */
export function sqsParticipant(options: SqsParticipantOptions): Required<Lane> {
  return new SqsLane(options, checkQueueConfig(options.config));
}

interface Waiting {
  readonly command: Outgoing;
  /** What it was sent with. */
  token?: string;
}

class SqsLane implements Required<Lane> {
  readonly #o: SqsParticipantOptions;
  readonly #config: CheckedQueueConfig;
  readonly #clock: Clock;
  /** In the order of arrival. A Set, since those that time out leave from the middle. */
  readonly #queue = new Set<Outgoing>();
  /** Sent, or about to be, and not answered: by what tells their answers. */
  readonly #waiting = new Map<string, Waiting>();
  #link: Promise<SqsLink> | undefined;
  /** Settles when nothing waits for an answer any more; set once no more is taken. */
  #idle: PromiseWithResolvers<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: SqsParticipantOptions, config: CheckedQueueConfig) {
    this.#o = options;
    this.#config = config;
    this.#clock = options.clock ?? systemClock;
  }

  async send(_run: RunId, effect: SendEffect, signal: AbortSignal): Promise<Answer> {
    const began = this.#clock.monotonic();
    const answer = await this.#send(effect, signal);
    this.#o.observer?.(this.#o.name, effect.command, answer.type, (this.#clock.monotonic() - began) / 1000);
    return answer;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  shed(answer: (key: string) => Answer): void {
    for (const command of this.#queue) command.settle(answer(command.text.key));
  }

  async #close(): Promise<void> {
    this.#idle = Promise.withResolvers();
    for (const command of this.#queue) command.settle(this.#closing());
    if (this.#waiting.size === 0) this.#idle.resolve();
    await this.#idle.promise;
    await (await this.#link)?.close();
  }

  #send(effect: SendEffect, signal: AbortSignal): Promise<Answer> | Answer {
    const { command, timeout } = effect;
    if (this.#closed !== undefined) return this.#closing();
    if (signal.aborted) return { type: 'NotNow', reason: 'Aborted', message: `${command}: given up by its worker` };
    const reasons = this.#config.reasons[command];
    if (reasons === undefined) return this.#commandUnknown(command);
    const text = writeCommand(effect);
    if ('type' in text) return text;
    const where = `the queue ${this.#config.queue.url}`;
    const outgoing = new Outgoing({
      expected: { where, command, reasons },
      path: command,
      text,
      timeout,
      signal,
      mayGo: effect.mayGo,
      clock: this.#clock,
    });
    this.#queue.add(outgoing);
    outgoing.onSettled = (settled) => this.#queue.delete(settled);
    this.#pump();
    return outgoing.answer;
  }

  #pump(): void {
    for (const command of this.#queue) {
      if (this.#waiting.size >= this.#config.maxInFlight) return;
      this.#queue.delete(command);
      const correlation = randomUUID();
      const waiting: Waiting = { command };
      this.#waiting.set(correlation, waiting);
      command.onSettled = () => this.#landed(correlation);
      command.begin();
      void this.#carry(waiting, correlation);
    }
  }

  #landed(correlation: string): void {
    this.#waiting.delete(correlation);
    if (this.#waiting.size === 0) this.#idle?.resolve();
    this.#pump();
  }

  /** From token to queue. Never rejects; what is taken is answered by {@link #hear}, or by its own time limit. */
  async #carry(waiting: Waiting, correlation: string): Promise<void> {
    const { command } = waiting;
    const { audience } = this.#config;
    const [token, ready] = await Promise.all([attempt(this.#o.tokens(audience)), attempt(this.#ready())]);
    if (command.settled) return;
    if ('failed' in token) {
      const message = `no token for the audience ${audience} could be had: ${token.failed}`;
      return command.settle({ type: 'NotNow', reason: 'NoToken', message, retryAfter: TOKEN_RETRY_MS });
    }
    if ('failed' in ready) return this.#unreachable(command, `there is no queue for its answer: ${ready.failed}`);
    const { link, replyTo } = ready.value;
    if (!command.mayGo) {
      const message = `${command.expected.where}: ${WITHHELD}`;
      return command.settle({ type: 'NotNow', reason: 'Aborted', message });
    }
    command.markSent();
    waiting.token = token.value;
    const sent = await attempt(link.commands.send(message(command, { correlation, replyTo, token: token.value })));
    if ('failed' in sent) return this.#unreachable(command, sent.failed);
    if (sent.value === 'Done') return;
    const { code, message: why } = sent.value;
    command.settle({ type: 'Unknown', reason: 'NotQueued', message: `${command.expected.where}: ${code}: ${why}` });
  }

  async #ready(): Promise<{ link: SqsLink; replyTo: string }> {
    this.#link ??= this.#open();
    const link = await this.#link;
    return { link, replyTo: await link.answers.url() };
  }

  async #open(): Promise<SqsLink> {
    const { sqs, wait, onError = () => {} } = this.#o;
    const { SqsLink } = await import('./sqs-link.ts');
    const onAnswer = (correlation: string, text: string) => this.#hear(correlation, text);
    return new SqsLink(this.#config, {
      onAnswer,
      onError,
      clock: this.#clock,
      ...(wait === undefined ? {} : { wait }),
      ...(sqs === undefined ? {} : { sqs }),
    });
  }

  #hear(correlation: string, text: string): void {
    const waiting = this.#waiting.get(correlation);
    if (waiting === undefined) return;
    const { command, token } = waiting;
    const answer = this.#read(text, command.expected);
    if (answer.type === 'Unknown' && answer.reason === 'HttpStatus401' && token !== undefined)
      this.#o.tokens.rejected?.(this.#config.audience, token);
    command.settle(answer);
  }

  #read(text: string, expected: Expected): Answer {
    const { where, command } = expected;
    const { maxAnswerBytes } = this.#config;
    if (Buffer.byteLength(text) > maxAnswerBytes) {
      const message = `${where} answered ${command} with more than ${maxAnswerBytes} bytes`;
      return { type: 'Unknown', reason: 'AnswerTooLarge', message };
    }
    try {
      return readItem(JSON.parse(text), expected);
    } catch {
      return { type: 'Unknown', reason: 'NotJson', message: `${where} answered ${command} with what is no JSON` };
    }
  }

  #unreachable(command: Outgoing, why: string): void {
    command.settle({ type: 'Unknown', reason: 'QueueUnreachable', message: `${command.expected.where}: ${why}` });
  }

  #closing(): Answer {
    const message = `the connection to ${this.#o.name} is being closed or replaced; nothing was sent`;
    return { type: 'NotNow', reason: 'Closing', message, retryAfter: 0 };
  }

  #commandUnknown(command: string): Answer {
    const known = Object.keys(this.#config.reasons).join(', ') || 'none';
    const message = `the Participant ${this.#o.name} declares no command ${command} (it declares: ${known}); add it to spec.commands`;
    return { type: 'NotNow', reason: 'CommandUnknown', message, retryAfter: PLATFORM_RETRY_MS };
  }
}

/** A command as a message: an item of a batch, with what concerns its way in the attributes. */
function message(
  { expected, text, left }: Outgoing,
  { correlation, replyTo, token }: { correlation: string; replyTo: string; token: string },
) {
  return {
    body: batchItem(expected.command, text),
    attributes: {
      authorization: `Bearer ${token}`,
      'mercato-reply-to': replyTo,
      'mercato-correlation': correlation,
      'mercato-timeout': String(Math.ceil(left)),
      ...(text.traceparent === undefined ? {} : { traceparent: text.traceparent }),
    },
  };
}

async function attempt<T>(work: Promise<T>): Promise<{ readonly value: T } | { readonly failed: string }> {
  try {
    return { value: await work };
  } catch (error) {
    return { failed: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}
