import { randomBytes } from 'node:crypto';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  ListQueuesCommand,
  ListQueueTagsCommand,
  type SQSClient,
  TagQueueCommand,
} from '@aws-sdk/client-sqs';
import { Receivers } from '../aws/receivers.ts';
import { Queue, type Received } from '../aws/sqs.ts';
import type { Clock } from '../runtime/clock.ts';

/** How the queue of this process's answers is kept. */
export interface AnswerQueueOptions {
  readonly client: SQSClient;
  /** The queue whose name it begins with, and whose encryption it has. */
  readonly baseUrl: string;
  /** Told each answer: which command's, and its text. Must not throw. */
  readonly onAnswer: (correlation: string, text: string) => void;
  readonly onError: (error: unknown, doing: string) => void;
  readonly clock: Clock;
  /** How long one receive waits for an answer; a queue that was removed is noticed by the next one. Seconds. @default 20 */
  readonly wait?: number;
}

/** Says when the process that a queue belongs to was last seen. RFC 3339. */
const ALIVE = 'mercato-alive';
const BEAT_MS = 600_000;
/** A queue whose process was not seen for so long is removed: its process is dead, or makes a new one. */
const DEAD_AFTER_MS = 86_400_000;
/** No command waits for its answer for longer. Seconds. */
const RETENTION = '3600';
/** Looked at in one sweep; another process, or the next beat, sees to the rest. */
const MAX_SWEPT = 100;

/**
 * The queue that answers to this process's commands come over: one for each process, because an answer that another process received would help nobody
 * (docs/adr/sqs-participants.md). Made when it is first needed, removed at the close; those of processes that died are removed by the living.
 */
export class AnswerQueue {
  readonly #o: AnswerQueueOptions;
  readonly #name: string;
  #queue: Promise<Queue> | undefined;
  /** The one that is received from; an error of one that it replaced says nothing of it. */
  #current: Queue | undefined;
  #receivers: Receivers | undefined;
  #cancelBeat: () => void = () => {};
  #closed = false;

  constructor(options: AnswerQueueOptions) {
    this.#o = options;
    this.#name = options.baseUrl.split('/').at(-1) ?? '';
  }

  /** Its URL, once it can be answered to. @throws what the SDK does; the next call tries again */
  async url(): Promise<string> {
    this.#queue ??= this.#open().catch((error: unknown) => {
      this.#queue = undefined;
      throw error;
    });
    return (await this.#queue).url;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelBeat();
    const queue = await this.#queue?.catch(() => undefined);
    await this.#receivers?.stop(0);
    if (queue !== undefined) await this.#quietly('remove it', this.#remove(queue.url));
  }

  async #open(): Promise<Queue> {
    const { client, clock } = this.#o;
    const { QueueUrl } = await client.send(
      new CreateQueueCommand({
        QueueName: `${this.#name}-${randomBytes(6).toString('hex')}`,
        Attributes: { MessageRetentionPeriod: RETENTION, ...(await this.#encryption()) },
        tags: this.#aliveTag(),
      }),
    );
    const queue = new Queue(client, QueueUrl as string);
    this.#current = queue;
    this.#receivers = new Receivers({
      queue,
      clock,
      receivers: 2,
      maxInHand: 10_000,
      wait: this.#o.wait ?? 20,
      handle: async (message) => {
        this.#hear(message);
        return { do: 'Delete' };
      },
      onError: (error, doing) => this.#failed(error, doing, queue),
    });
    this.#receivers.start();
    this.#beat(queue.url);
    void this.#quietly('sweep', this.#sweep());
    return queue;
  }

  #hear({ body, attributes }: Received): void {
    const correlation = attributes['mercato-correlation'];
    if (correlation !== undefined) this.#o.onAnswer(correlation, body);
  }

  /** Somebody took this process for dead, or removed its queue: it makes a new one. */
  #failed(error: unknown, doing: string, queue: Queue): void {
    this.#o.onError(error, doing);
    if ((error as Error).name !== 'QueueDoesNotExist' || this.#closed || this.#current !== queue) return;
    this.#current = undefined;
    this.#queue = undefined;
    this.#cancelBeat();
    const receivers = this.#receivers;
    this.#receivers = undefined;
    void this.#quietly(`leave ${queue.url}`, receivers?.stop(0) ?? Promise.resolve());
  }

  /** As the platform has it for the queue that this one is named after. */
  async #encryption(): Promise<Record<string, string>> {
    const { KmsMasterKeyId } = await new Queue(this.#o.client, this.#o.baseUrl).attributes(['KmsMasterKeyId']);
    return KmsMasterKeyId === undefined || KmsMasterKeyId === '' ? {} : { KmsMasterKeyId };
  }

  #beat(url: string): void {
    this.#cancelBeat = this.#o.clock.after(BEAT_MS, () => {
      const beat = this.#o.client.send(new TagQueueCommand({ QueueUrl: url, Tags: this.#aliveTag() }));
      void this.#quietly('say that it lives', beat);
      void this.#quietly('sweep', this.#sweep());
      this.#beat(url);
    });
  }

  /** Removes the queues of processes that died. */
  async #sweep(): Promise<void> {
    const { client } = this.#o;
    const { QueueUrls = [] } = await client.send(
      new ListQueuesCommand({ QueueNamePrefix: `${this.#name}-`, MaxResults: MAX_SWEPT }),
    );
    for (const url of QueueUrls) {
      const { Tags } = await client.send(new ListQueueTagsCommand({ QueueUrl: url }));
      // One without a tag is none of ours.
      if (isDead(Tags?.[ALIVE], this.#o.clock.wall())) await this.#remove(url);
    }
  }

  async #remove(url: string): Promise<void> {
    await this.#o.client.send(new DeleteQueueCommand({ QueueUrl: url }));
  }

  #aliveTag(): Record<string, string> {
    return { [ALIVE]: new Date(this.#o.clock.wall()).toISOString() };
  }

  /** For what the next beat, or another process, does as well. */
  async #quietly(doing: string, work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => this.#o.onError(error, doing));
  }
}

/** Whether the process that said so is dead. @param now milliseconds since the epoch */
export function isDead(alive: string | undefined, now: number): boolean {
  const seen = alive === undefined ? Number.NaN : Date.parse(alive);
  return now - seen > DEAD_AFTER_MS;
}
