import { randomUUID } from 'node:crypto';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { CreateQueueCommand, type SQSClientConfig } from '@aws-sdk/client-sqs';
import type { CommandQueue } from '../queue/consumer.ts';
import { deleteMessages, receive, sendMessages, sqsClient } from '../queue/sqs.ts';
import { milliseconds } from '../units.ts';
import type { Received, Sent } from './client.ts';

/** Makes the queues of a participant under test, which no other test has. */
export async function testQueues(sqs: SQSClientConfig): Promise<CommandQueue> {
  const client = sqsClient(sqs);
  const id = randomUUID().slice(0, 13);
  const [url, answersUrl] = await Promise.all([create(client, `commands-${id}`), create(client, `answers-${id}`)]);
  client.destroy();
  return { url, answersUrl, sqs, wait: milliseconds(0) };
}

async function create(client: SQSClient, name: string): Promise<string> {
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: name }));
  return QueueUrl as string;
}

/** Speaks the participant contract over SQS, with a queue of its own for answers. */
export class QueueClient {
  readonly #client: SQSClient;
  readonly #url: string;
  readonly #answers: string;
  readonly #token: string;
  readonly #begun: string;
  readonly #waiting = new Map<string, (answer: Received) => void>();
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  private constructor(client: SQSClient, url: string, answers: string, token: string, begun: string) {
    this.#client = client;
    this.#url = url;
    this.#answers = answers;
    this.#token = token;
    this.#begun = begun;
    this.#loop = this.#receive();
  }

  static async open({ url, answersUrl, sqs = {} }: CommandQueue, token: string, begun: string): Promise<QueueClient> {
    const client = sqsClient(sqs);
    const answers = await create(client, `${answersUrl.split('/').at(-1)}-${randomUUID().slice(0, 8)}`);
    return new QueueClient(client, url, answers, token, begun);
  }

  /** Sends a command and waits for its answer. @param attributes in place of its own, by name; an empty one: without it */
  async send(sent: Sent, key: string, attributes: Record<string, string> = {}): Promise<Received> {
    const item = {
      command: sent.command,
      key,
      epoch: sent.epoch ?? 1,
      begun: sent.begun ?? this.#begun,
      body: sent.body,
    };
    return this.raw(JSON.stringify(item), attributes);
  }

  /** Sends any text as a command. */
  async raw(body: string, attributes: Record<string, string> = {}): Promise<Received> {
    const correlation = randomUUID();
    const all: Record<string, string> = {
      authorization: `Bearer ${this.#token}`,
      'mercato-reply-to': this.#answers,
      'mercato-correlation': correlation,
      ...attributes,
    };
    const { promise, resolve, reject } = Promise.withResolvers<Received>();
    this.#waiting.set(correlation, resolve);
    const timer = setTimeout(() => reject(new Error('no answer came over the queue within 30 s')), 30_000).unref();
    const message = { body, attributes: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== '')) };
    const [failure] = await sendMessages(this.#client, this.#url, [message]);
    if (failure !== undefined) throw new Error(failure);
    return promise.finally(() => clearTimeout(timer));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    this.#client.destroy();
  }

  async #receive(): Promise<void> {
    const { signal } = this.#closing;
    const answers = this.#answers;
    while (!signal.aborted) {
      const messages = await receive(this.#client, answers, { visibility: 30, wait: 20, signal }).catch(
        (error: unknown) => {
          if (signal.aborted) return [];
          throw error;
        },
      );
      for (const { body, attributes } of messages) {
        const correlation = attributes['mercato-correlation'] ?? '';
        this.#waiting.get(correlation)?.(JSON.parse(body) as Received);
        this.#waiting.delete(correlation);
      }
      if (messages.length > 0)
        await deleteMessages(
          this.#client,
          answers,
          messages.map(({ receipt }) => receipt),
        );
    }
  }
}
