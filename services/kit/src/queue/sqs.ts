import {
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
  type SQSClientConfig,
} from '@aws-sdk/client-sqs';

/** A message as it was received. */
export interface ReceivedMessage {
  readonly id: string;
  /** What deletes it. */
  readonly receipt: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** How often it was received, this time included. */
  readonly receives: number;
  /** How long it lay in the queue before anybody received it, by the queue's own clock. Milliseconds. */
  readonly waited: number;
}

/** A message to send. */
export interface OutgoingMessage {
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** SQS takes no more entries in one call, and gives no more. */
export const maxEntries = 10;
/** All messages of one call together: what every region and emulator takes. */
export const maxCallBytes = 262_144;

/**
 * A client of SQS whose connections are kept and bounded, and none of whose calls can hang. Where SQS is, and as whom it is called, the SDK's own
 * environment says (AWS_REGION, AWS_ENDPOINT_URL_SQS, the credentials chain). Close it with `destroy()`.
 */
export function sqsClient(config: SQSClientConfig = {}): SQSClient {
  const agent = { keepAlive: true, maxSockets: 32 };
  return new SQSClient({
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: 3000,
      // Over the longest wait for a message, which is 20 s.
      requestTimeout: 30_000,
      throwOnRequestTimeout: true,
    },
    ...config,
  });
}

/** Up to ten messages; none when the wait was in vain. `visibility` and `wait` are in seconds. */
export async function receive(
  client: SQSClient,
  url: string,
  { visibility, wait, signal }: { visibility: number; wait: number; signal: AbortSignal },
): Promise<ReceivedMessage[]> {
  const { Messages = [] } = await client.send(
    new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: maxEntries,
      WaitTimeSeconds: wait,
      VisibilityTimeout: visibility,
      MessageAttributeNames: ['All'],
      MessageSystemAttributeNames: ['SentTimestamp', 'ApproximateFirstReceiveTimestamp', 'ApproximateReceiveCount'],
    }),
    { abortSignal: signal },
  );
  return Messages.map(toReceived);
}

/** Sends up to ten messages; a reason stands where one was not taken. @throws what the SDK does when none was */
export async function sendMessages(
  client: SQSClient,
  url: string,
  messages: readonly OutgoingMessage[],
): Promise<(string | undefined)[]> {
  const Entries = messages.map(({ body, attributes }, i) => ({
    Id: String(i),
    MessageBody: body,
    MessageAttributes: Object.fromEntries(
      Object.entries(attributes).map(([name, StringValue]) => [name, { DataType: 'String', StringValue }]),
    ),
  }));
  return failures(messages.length, await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries })));
}

/** Deletes up to ten messages; a reason stands where one was not. @throws what the SDK does when none was */
export async function deleteMessages(
  client: SQSClient,
  url: string,
  receipts: readonly string[],
): Promise<(string | undefined)[]> {
  const Entries = receipts.map((ReceiptHandle, i) => ({ Id: String(i), ReceiptHandle }));
  return failures(receipts.length, await client.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries })));
}

/** What a message counts for against {@link maxCallBytes}. */
export function sizeOf({ body, attributes }: OutgoingMessage): number {
  const named = Object.entries(attributes).map(([name, value]) => `${name}String${value}`);
  return Buffer.byteLength(body) + Buffer.byteLength(named.join(''));
}

interface Failed {
  readonly Id: string | undefined;
  readonly Code: string | undefined;
  readonly Message?: string | undefined;
}

function failures(
  count: number,
  { Failed = [] }: { readonly Failed?: readonly Failed[] | undefined },
): (string | undefined)[] {
  const all = new Array<string | undefined>(count).fill(undefined);
  for (const { Id, Code, Message } of Failed) all[Number(Id)] = `${Code}: ${Message ?? ''}`;
  return all;
}

function toReceived({ MessageId, ReceiptHandle, Body, Attributes = {}, MessageAttributes = {} }: Message) {
  const attributes: Record<string, string> = {};
  for (const [name, { StringValue }] of Object.entries(MessageAttributes))
    if (StringValue !== undefined) attributes[name] = StringValue;
  const waited = Number(Attributes.ApproximateFirstReceiveTimestamp) - Number(Attributes.SentTimestamp);
  return {
    id: MessageId ?? '',
    receipt: ReceiptHandle ?? '',
    body: Body ?? '',
    attributes,
    receives: Number(Attributes.ApproximateReceiveCount ?? 1),
    waited: Number.isNaN(waited) ? 0 : Math.max(0, waited),
  };
}
