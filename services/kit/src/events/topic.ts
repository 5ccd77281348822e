import {
  PublishBatchCommand,
  type PublishBatchRequestEntry,
  type PublishBatchResponse,
  type SNSClient,
} from '@aws-sdk/client-sns';
import { type Clock, systemClock } from '../clock.ts';
import type { CloudEvent } from '../outbox/outbox.ts';
import { type ResendOptions, sendAll } from './batches.ts';

/** What subscriptions of a topic filter by; no value is empty. */
export type TopicAttributes = Readonly<Record<string, string>>;

/** Publishes events to an SNS topic: the CloudEvent as the message, what is filtered by as its attributes. */
export class TopicSender {
  readonly #client: SNSClient;
  readonly #arn: string;
  readonly #attributesOf: (event: CloudEvent) => TopicAttributes;
  readonly #resend: ResendOptions;

  constructor(
    client: SNSClient,
    arn: string,
    attributesOf: (event: CloudEvent) => TopicAttributes,
    resend: Partial<ResendOptions> & { clock?: Clock } = {},
  ) {
    this.#client = client;
    this.#arn = arn;
    this.#attributesOf = attributesOf;
    this.#resend = { clock: systemClock, ...resend };
  }

  /** Resolves once the topic has all of them. @throws NotTaken when some were not taken: it names them */
  send(events: readonly CloudEvent[]): Promise<void> {
    const messages = events.map((event) => ({ text: JSON.stringify(event), attributes: this.#attributesOf(event) }));
    return sendAll(messages, messageBytes, (call) => this.#publish(call), this.#resend);
  }

  async #publish(messages: readonly TopicMessage[]): Promise<readonly (string | undefined)[]> {
    const entries = messages.map(
      ({ text, attributes }, i): PublishBatchRequestEntry => ({
        Id: String(i),
        Message: text,
        MessageAttributes: Object.fromEntries(
          Object.entries(attributes).map(([name, StringValue]) => [name, { DataType: 'String', StringValue }]),
        ),
      }),
    );
    const command = new PublishBatchCommand({ TopicArn: this.#arn, PublishBatchRequestEntries: entries });
    return failuresOf(messages.length, await this.#client.send(command));
  }
}

interface TopicMessage {
  readonly text: string;
  readonly attributes: TopicAttributes;
}

function messageBytes({ text, attributes }: TopicMessage): number {
  const named = Object.entries(attributes).map(([name, value]) => `${name}String${value}`);
  return Buffer.byteLength(text) + Buffer.byteLength(named.join(''));
}

function failuresOf(
  count: number,
  { Failed = [] }: Pick<PublishBatchResponse, 'Failed'>,
): readonly (string | undefined)[] {
  const all = new Array<string | undefined>(count).fill(undefined);
  for (const { Id, Code, Message } of Failed) all[Number(Id)] = `${Code}: ${Message}`;
  return all;
}
