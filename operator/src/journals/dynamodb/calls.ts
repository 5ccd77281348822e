import {
  BatchGetItemCommand,
  type BatchGetItemCommandInput,
  type BatchGetItemCommandOutput,
  DeleteItemCommand,
  type DeleteItemCommandInput,
  type DeleteItemCommandOutput,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  type GetItemCommandInput,
  type GetItemCommandOutput,
  PutItemCommand,
  type PutItemCommandInput,
  type PutItemCommandOutput,
  QueryCommand,
  type QueryCommandInput,
  type QueryCommandOutput,
  TransactWriteItemsCommand,
  type TransactWriteItemsCommandInput,
  type TransactWriteItemsCommandOutput,
  UpdateItemCommand,
  type UpdateItemCommandInput,
  type UpdateItemCommandOutput,
} from '@aws-sdk/client-dynamodb';

/** The calls that the journal makes, as DynamoDB names them. There is no Scan among them. */
export interface Calls {
  readonly PutItem: { input: PutItemCommandInput; output: PutItemCommandOutput };
  readonly UpdateItem: { input: UpdateItemCommandInput; output: UpdateItemCommandOutput };
  readonly DeleteItem: { input: DeleteItemCommandInput; output: DeleteItemCommandOutput };
  readonly GetItem: { input: GetItemCommandInput; output: GetItemCommandOutput };
  readonly BatchGetItem: { input: BatchGetItemCommandInput; output: BatchGetItemCommandOutput };
  readonly Query: { input: QueryCommandInput; output: QueryCommandOutput };
  readonly TransactWriteItems: { input: TransactWriteItemsCommandInput; output: TransactWriteItemsCommandOutput };
}

/** How a call reaches DynamoDB: the one place where a test gets between. Rejects with the SDK's errors. */
export type Send = <Name extends keyof Calls>(
  name: Name,
  input: Calls[Name]['input'],
) => Promise<Calls[Name]['output']>;

const COMMANDS = {
  PutItem: PutItemCommand,
  UpdateItem: UpdateItemCommand,
  DeleteItem: DeleteItemCommand,
  GetItem: GetItemCommand,
  BatchGetItem: BatchGetItemCommand,
  Query: QueryCommand,
  TransactWriteItems: TransactWriteItemsCommand,
} as const;

export interface ClientOptions {
  /** Connections that are kept open; calls beyond them wait. @default 128 */
  readonly connections?: number;
  /** Milliseconds until a call without an answer is given up; what came of it is then not known. @default 3000 */
  readonly timeout?: number;
  /** What the SDK would take from its environment. @default nothing: the environment says it */
  readonly aws?: Pick<DynamoDBClientConfig, 'endpoint' | 'region' | 'credentials'>;
}

/** A way to DynamoDB over a bounded pool of connections that are kept alive. */
export interface Connection {
  readonly send: Send;
  close(): void;
}

/**
 * Connects, on the first call. The SDK repeats nothing by itself: after a time-out it would repeat a conditional write that was done, and answer that
 * the condition failed. The runner repeats what it has to, by reading and comparing, and its pauses grow.
 */
export function connect({ connections = 128, timeout = 3_000, aws = {} }: ClientOptions = {}): Connection {
  const agent = { keepAlive: true, maxSockets: connections };
  const client = new DynamoDBClient({
    ...aws,
    maxAttempts: 1,
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: timeout,
      requestTimeout: timeout,
      throwOnRequestTimeout: true,
    },
  });
  return {
    // The compiler cannot see that a name and its input belong together.
    send: (name, input) => client.send(new (COMMANDS[name] as unknown as new (input: unknown) => never)(input)),
    close: () => client.destroy(),
  };
}
