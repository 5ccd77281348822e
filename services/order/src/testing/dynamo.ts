import { randomBytes } from 'node:crypto';
import {
  type AttributeDefinition,
  type CancellationReason,
  CreateTableCommand,
  DynamoDBClient,
  InternalServerError,
  type KeySchemaElement,
  ProvisionedThroughputExceededException,
  ScanCommand,
  ThrottlingException,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb';
import { type Clock, days, type Subscriber, systemClock } from '@mercato/kit';
import { type Calls, type ClientOptions, connect, type Send } from '../adapters/dynamodb/calls.ts';
import { DynamoOrders, type DynamoOrdersOptions } from '../adapters/dynamodb/orders.ts';
import { BEAT } from '../adapters/dynamodb/shards.ts';
import type { Item } from '../adapters/dynamodb/store.ts';
import { type KeyAttribute, ORDERS_TABLE } from '../adapters/dynamodb/table.ts';
import type { Forgetting } from '../ports/orders.ts';
import { shop } from './samples.ts';

export type Aws = NonNullable<ClientOptions['aws']>;

/**
 * What becomes of a call. `conflict`, `throttled`, `throughput` and `throttled part` did nothing; `internal` and `unsent` did nothing either, but nobody can
 * know; `answer lost` was carried out before the time-out.
 */
export type Fault = 'conflict' | 'throttled part' | 'throttled' | 'throughput' | 'internal' | 'unsent' | 'answer lost';

export interface Call {
  readonly name: keyof Calls;
  readonly input: Calls[keyof Calls]['input'];
}

const $metadata = {};
const cancelled = (Code: string) => () =>
  new TransactionCanceledException({
    $metadata,
    message: `Transaction cancelled, please refer cancellation reasons for specific reasons [None, ${Code}]`,
    CancellationReasons: [{ Code: 'None' }, { Code }] satisfies CancellationReason[],
  });
const timedOut = () =>
  Object.assign(new Error('a request has exceeded the configured 3000 ms requestTimeout'), { name: 'TimeoutError' });

/** What DynamoDB answers, as the SDK reports it. */
const ERRORS: Readonly<Record<Fault, () => Error>> = {
  conflict: cancelled('TransactionConflict'),
  'throttled part': cancelled('ThrottlingError'),
  throttled: () => new ThrottlingException({ $metadata, message: 'Throughput exceeds the current capacity' }),
  throughput: () => new ProvisionedThroughputExceededException({ $metadata, message: 'Rate exceeded' }),
  internal: () => new InternalServerError({ $metadata, message: 'Internal server error' }),
  unsent: timedOut,
  'answer lost': timedOut,
};

/** A way to DynamoDB on which calls fail as `plan` says. */
export class FaultySend {
  /** How a call fails. @default it does not */
  plan: (call: Call) => Fault | undefined = () => undefined;
  /** Every call that was made, in order; also those that failed. */
  readonly calls: Call[] = [];
  readonly #through: Send;

  constructor(through: Send) {
    this.#through = through;
  }

  readonly send: Send = async (name, input) => {
    this.calls.push({ name, input });
    const fault = this.plan({ name, input });
    if (fault !== undefined && fault !== 'answer lost') throw ERRORS[fault]();
    const answer = await this.#through(name, input);
    if (fault !== undefined) throw ERRORS[fault]();
    return answer;
  };

  /** The next `times` calls of this name meet a fault, and no others. */
  fail(fault: Fault, name: keyof Calls, times = 1): void {
    let left = times;
    this.plan = (call) => (call.name === name && left-- > 0 ? fault : undefined);
  }
}

/** The machine's, on which a replica pauses, but does not say that it lives: it does when a test has it, however long that takes. */
const WITHOUT_BEATS: Clock = {
  now: systemClock.now,
  schedule: (delay, run) => (delay < BEAT ? systemClock.schedule(delay, run) : () => undefined),
};

/** A machine that does a dozen other things is slow, not away. */
const TIMEOUT_MS = 30_000;

/** A table of its own in an emulator, with the replicas that a test starts on it. */
export class DynamoPlace {
  readonly table = `orders-${randomBytes(6).toString('hex')}`;
  readonly #aws: Aws;
  readonly #client: DynamoDBClient;

  private constructor(aws: Aws) {
    this.#aws = aws;
    this.#client = new DynamoDBClient(aws);
  }

  static async create(aws: Aws): Promise<DynamoPlace> {
    const place = new DynamoPlace(aws);
    await createOrdersTable(place.#client, place.table);
    return place;
  }

  /**
   * Orders as one replica of the service has them, with faults of its own. Unless told otherwise its monotonic timer stands still, so that it keeps what it
   * relays though the machine stalls.
   */
  replica(
    subscribers: readonly Subscriber[],
    more: Partial<DynamoOrdersOptions> = {},
  ): { readonly orders: DynamoOrders; readonly faults: FaultySend } {
    const { send, close } = connect({ aws: this.#aws, timeout: TIMEOUT_MS });
    const faults = new FaultySend(send);
    const orders = new DynamoOrders({
      connection: { send: faults.send, close },
      table: this.table,
      shop,
      subscribers,
      keyRetention: days(35),
      orderRetention: days(3650),
      patience: { base: 1, most: 20 },
      clock: WITHOUT_BEATS,
      monotonic: () => 0,
      onError: (error) => {
        throw error;
      },
      ...more,
    });
    return { orders, faults };
  }

  /** Everything that there is. */
  async items(): Promise<readonly Item[]> {
    const all: Item[] = [];
    let from: Record<string, Item[string]> | undefined;
    do {
      const start = from === undefined ? {} : { ExclusiveStartKey: from };
      const page = await this.#client.send(new ScanCommand({ TableName: this.table, ConsistentRead: true, ...start }));
      all.push(...(page.Items ?? []));
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
    return all;
  }

  /** What TTL does, at the time at which the retention of what is older than this has passed. @returns how much went */
  async expire({ keysBefore, ordersBefore }: Forgetting): Promise<number> {
    const kinds = [
      { prefix: 'key#', seconds: (keysBefore + days(35)) / 1000 },
      { prefix: 'order#', seconds: (ordersBefore + days(3650)) / 1000 },
    ];
    const gone = (await this.items()).filter(({ pk, expires }) =>
      kinds.some(({ prefix, seconds }) => pk?.S?.startsWith(prefix) && Number(expires?.N) < seconds),
    );
    const { send, close } = connect({ aws: this.#aws, timeout: TIMEOUT_MS });
    for (const { pk, sk } of gone) await send('DeleteItem', { TableName: this.table, Key: { pk: pk!, sk: sk! } });
    close();
    return gone.length;
  }

  close(): void {
    this.#client.destroy();
  }
}

/** Creates an empty table of orders in an emulator, from the declaration that the deployment uses. */
export async function createOrdersTable(client: DynamoDBClient, name: string): Promise<void> {
  const { partitionKey, sortKey, indexes } = ORDERS_TABLE;
  const attributes = [{ partitionKey, sortKey }, ...indexes].flatMap((keys) => [keys.partitionKey, keys.sortKey]);
  const types = new Map(attributes.map(({ name, type }) => [name, type]));
  await client.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [...types].map(
        ([AttributeName, AttributeType]): AttributeDefinition => ({ AttributeName, AttributeType }),
      ),
      KeySchema: keySchema(partitionKey, sortKey),
      GlobalSecondaryIndexes: indexes.map((index) => ({
        IndexName: index.name,
        KeySchema: keySchema(index.partitionKey, index.sortKey),
        Projection: { ProjectionType: index.projection },
      })),
    }),
  );
}

const keySchema = (partitionKey: KeyAttribute, sortKey: KeyAttribute): KeySchemaElement[] => [
  { AttributeName: partitionKey.name, KeyType: 'HASH' },
  { AttributeName: sortKey.name, KeyType: 'RANGE' },
];
