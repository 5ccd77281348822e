import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  type MessageAttributeValue,
  type QueueAttributeName,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
  type SQSClientConfig,
} from '@aws-sdk/client-sqs';
import { Gathered } from './gathered.ts';

/** A message as it was received. */
export interface Received {
  readonly id: string;
  /** What deletes it or changes its visibility; the newest one counts. */
  readonly receipt: string;
  readonly body: string;
  /** Message attributes that are texts or numbers; others are left out. */
  readonly attributes: Readonly<Record<string, string>>;
  /** How often it was received, this time included. */
  readonly receives: number;
  /** When the queue got it, by the queue's clock: milliseconds since the epoch. */
  readonly sentAt: number;
  /** When it was first received, by the same clock. */
  readonly firstReceivedAt: number;
}

/** A message to send. */
export interface Sent {
  readonly body: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What became of one entry of a batch. */
export type EntryOutcome = 'Done' | EntryFailure;

export interface EntryFailure {
  /** As SQS names it: `ReceiptHandleIsInvalid`, `InternalError`. */
  readonly code: string;
  readonly message: string;
}

export interface ReceiveOptions {
  /** How long nobody else sees what is received. Seconds. */
  readonly visibility: number;
  /** How long to wait for the first message. Seconds, 0 to 20. @default 20 */
  readonly wait?: number;
  /** 1 to 10. @default 10 */
  readonly max?: number;
  readonly signal?: AbortSignal;
}

/** SQS takes no more entries in one call. */
export const MAX_ENTRIES = 10;

/** All messages of one call together, attributes included: what every region and emulator takes. */
export const MAX_BYTES = 262_144;

/** The longest that a message may stay invisible: 12 hours. Seconds. */
export const MAX_VISIBILITY = 43_200;

const MAX_WAIT = 20;
const CONNECT_TIMEOUT_MS = 3000;
/** A receive waits for up to 20 s; nothing takes longer, so that a connection that went silent is noticed. */
const REQUEST_TIMEOUT_MS = 30_000;

/** How the client of SQS is made beyond what the SDK's own environment says (AWS_REGION, AWS_ENDPOINT_URL_SQS, the credentials chain). */
export interface SqsClientOptions {
  /** Connections at once: one for each receiver, and those for sending. @default 32 */
  readonly connections?: number;
  /** For tests: where an emulator is. @default nothing: the environment decides */
  readonly config?: SQSClientConfig;
}

/** A client of SQS whose connections are kept and bounded, and none of whose calls can hang. Close it with `destroy()`. */
export function sqsClient({ connections = 32, config = {} }: SqsClientOptions = {}): SQSClient {
  const agent = { keepAlive: true, maxSockets: connections };
  return new SQSClient({
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
    ...config,
  });
}

/**
 * One queue. Sends, deletes and changes of visibility are gathered into batches; each entry has its own outcome. What fails as a whole (not reached,
 * no such queue, not allowed) rejects with the SDK's error, after the SDK's own retries.
 */
export class Queue {
  readonly url: string;
  readonly #client: SQSClient;
  readonly #sends: Gathered<Sent, EntryOutcome>;
  readonly #deletes: Gathered<string, EntryOutcome>;
  readonly #changes: Gathered<{ readonly receipt: string; readonly seconds: number }, EntryOutcome>;

  constructor(client: SQSClient, url: string) {
    this.#client = client;
    this.url = url;
    this.#sends = new Gathered({
      maxItems: MAX_ENTRIES,
      maxBytes: MAX_BYTES,
      bytesOf: sizeOf,
      carry: (items) => this.#sendBatch(items),
    });
    this.#deletes = new Gathered({ maxItems: MAX_ENTRIES, carry: (receipts) => this.#deleteBatch(receipts) });
    this.#changes = new Gathered({ maxItems: MAX_ENTRIES, carry: (changes) => this.#changeBatch(changes) });
  }

  /** Up to `max` messages; none when the wait was in vain. */
  async receive({ visibility, wait = MAX_WAIT, max = MAX_ENTRIES, signal }: ReceiveOptions): Promise<Received[]> {
    const { Messages = [] } = await this.#client.send(
      new ReceiveMessageCommand({
        QueueUrl: this.url,
        MaxNumberOfMessages: max,
        WaitTimeSeconds: wait,
        VisibilityTimeout: visibility,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['ApproximateReceiveCount', 'SentTimestamp', 'ApproximateFirstReceiveTimestamp'],
      }),
      signal === undefined ? {} : { abortSignal: signal },
    );
    return Messages.map(received);
  }

  /** Sends one message. @throws RangeError when it is larger than SQS takes */
  send(message: Sent): Promise<EntryOutcome> {
    const bytes = sizeOf(message);
    if (bytes > MAX_BYTES)
      return Promise.reject(new RangeError(`a message of ${bytes} bytes is too large: SQS takes ${MAX_BYTES}`));
    return this.#sends.add(message);
  }

  /** Deletes one message. An old receipt may delete nothing: the message then comes again. */
  delete(receipt: string): Promise<EntryOutcome> {
    return this.#deletes.add(receipt);
  }

  /** From now on nobody sees the message for so long; 0: anybody may have it now. Seconds. */
  hide(receipt: string, seconds: number): Promise<EntryOutcome> {
    return this.#changes.add({ receipt, seconds: Math.min(Math.max(Math.ceil(seconds), 0), MAX_VISIBILITY) });
  }

  /** The queue's attributes that are set. */
  async attributes<Name extends QueueAttributeName>(names: readonly Name[]): Promise<{ [name in Name]?: string }> {
    const { Attributes = {} } = await this.#client.send(
      new GetQueueAttributesCommand({ QueueUrl: this.url, AttributeNames: [...names] }),
    );
    return Attributes as { [name in Name]?: string };
  }

  async #sendBatch(items: readonly Sent[]): Promise<EntryOutcome[]> {
    const Entries = items.map(({ body, attributes = {} }, i) => ({
      Id: String(i),
      MessageBody: body,
      MessageAttributes: attributeValues(attributes),
    }));
    return outcomes(
      items.length,
      await this.#client.send(new SendMessageBatchCommand({ QueueUrl: this.url, Entries })),
    );
  }

  async #deleteBatch(receipts: readonly string[]): Promise<EntryOutcome[]> {
    const Entries = receipts.map((ReceiptHandle, i) => ({ Id: String(i), ReceiptHandle }));
    const answer = await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: this.url, Entries }));
    return outcomes(receipts.length, answer);
  }

  async #changeBatch(changes: readonly { receipt: string; seconds: number }[]): Promise<EntryOutcome[]> {
    const Entries = changes.map(({ receipt, seconds }, i) => ({
      Id: String(i),
      ReceiptHandle: receipt,
      VisibilityTimeout: seconds,
    }));
    const answer = await this.#client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: this.url, Entries }));
    return outcomes(changes.length, answer);
  }
}

/** What a message counts for against SQS's limit: body, and names, types and values of its attributes. */
export function sizeOf({ body, attributes = {} }: Sent): number {
  let bytes = Buffer.byteLength(body);
  for (const [name, value] of Object.entries(attributes))
    bytes += Buffer.byteLength(name) + 'String'.length + Buffer.byteLength(value);
  return bytes;
}

function attributeValues(attributes: Readonly<Record<string, string>>): Record<string, MessageAttributeValue> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, StringValue]) => [name, { DataType: 'String', StringValue }]),
  );
}

interface Failed {
  readonly Id: string | undefined;
  readonly Code: string | undefined;
  readonly Message?: string | undefined;
}

/** An entry that SQS names neither as done nor as failed counts as done, as its own clients have it. */
function outcomes(count: number, { Failed = [] }: { readonly Failed?: readonly Failed[] | undefined }): EntryOutcome[] {
  const all: EntryOutcome[] = Array.from({ length: count }, () => 'Done');
  for (const { Id, Code, Message } of Failed) all[Number(Id)] = { code: Code ?? 'Unknown', message: Message ?? '' };
  return all;
}

function received({ MessageId, ReceiptHandle, Body, Attributes = {}, MessageAttributes = {} }: Message): Received {
  const attributes: Record<string, string> = {};
  for (const [name, { StringValue }] of Object.entries(MessageAttributes))
    if (StringValue !== undefined) attributes[name] = StringValue;
  const sentAt = Number(Attributes.SentTimestamp ?? Number.NaN);
  return {
    id: MessageId ?? '',
    receipt: ReceiptHandle ?? '',
    body: Body ?? '',
    attributes,
    receives: Number(Attributes.ApproximateReceiveCount ?? 1),
    sentAt,
    firstReceivedAt: Number(Attributes.ApproximateFirstReceiveTimestamp ?? sentAt),
  };
}
