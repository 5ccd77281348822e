import {
  ConditionalCheckFailedException,
  type QueryCommandInput,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb';
import { JournalUnavailable } from '../journal.ts';
import type { Calls, Send } from './calls.ts';
import type { Item } from './keys.ts';

/** DynamoDB answered that it did nothing: the request was throttled, or is one that it never carries out. */
export class NotDone extends JournalUnavailable {
  override readonly name = 'JournalUnavailable';
}

/** What came of a conditional write: the item as it is now, or as it was found where the condition did not hold. */
export type Written =
  | { readonly done: true; readonly item: Item }
  | { readonly done: false; readonly found: Item | undefined };

/** A conditional change. In expressions `#name` is the attribute `name`, which may be a reserved word, and `:name` a value. */
export interface Change {
  readonly update: string;
  readonly when: string;
  readonly values: Item;
  /** Whether the item is wanted as it is then. @default false */
  readonly answer?: boolean;
}

/** An item that is written beside a conditional change. Of an attribute that is there already nothing changes. */
export interface Companion {
  readonly key: Item;
  readonly attributes: Item;
}

/** Parts that one transaction takes. */
const TRANSACTION = 100;
/** Items that {@link Store.updateWith} takes beside the first. */
export const COMPANIONS = TRANSACTION - 1;

export interface Page {
  readonly items: readonly Item[];
  /** Where the next page begins; undefined on the last. */
  readonly next: Item | undefined;
}

export interface Question {
  /** @default the table itself, read consistently where `consistent` says so */
  readonly index?: string;
  readonly consistent?: boolean;
  /** The partition key's attribute, and its value. */
  readonly of: readonly [string, string];
  /** The sort key's attribute, and its least value. */
  readonly from?: readonly [string, number];
  /** Items, at most. @default what fits in DynamoDB's megabyte */
  readonly limit?: number;
  readonly after?: Item | undefined;
}

/**
 * One table, spoken to by the low-level client. A condition that does not hold is an answer here, not an error; every error is a JournalUnavailable
 * whose message says what DynamoDB said and what to do.
 */
export class Store {
  readonly #send: Send;
  readonly #table: string;

  constructor(send: Send, table: string) {
    this.#send = send;
    this.#table = table;
  }

  async put(item: Item, when: string, values: Item = {}): Promise<Written> {
    const expression = { ConditionExpression: when, ...named(when), ...valued(values) };
    return this.#conditional(item, () =>
      this.#call('PutItem', {
        TableName: this.#table,
        Item: { ...item },
        ...expression,
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
  }

  async update(key: Item, change: Change): Promise<Written> {
    return this.#conditional(key, () =>
      this.#call('UpdateItem', { ...this.#changeOf(key, change), ReturnValues: change.answer ? 'ALL_NEW' : 'NONE' }),
    );
  }

  /** As `update`, with other items written in the same transaction: all of it is done, or nothing. @param others up to {@link COMPANIONS}, each once */
  async updateWith(key: Item, change: Change, others: readonly Companion[]): Promise<Written> {
    const first = this.#changeOf(key, change);
    const rest = others.map((other) => ({ Update: this.#unlessThere(other) }));
    return this.#conditional(key, async () => {
      await this.#call('TransactWriteItems', { TransactItems: [{ Update: first }, ...rest] });
      return {};
    });
  }

  #changeOf(key: Item, { update, when, values }: Change) {
    return {
      TableName: this.#table,
      Key: { ...key },
      UpdateExpression: update,
      ConditionExpression: when,
      ...named(`${update} ${when}`),
      ...valued(values),
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
    };
  }

  async delete(key: Item, when: string, values: Item = {}): Promise<Written> {
    const expression = { ConditionExpression: when, ...named(when), ...valued(values) };
    return this.#conditional(key, () =>
      this.#call('DeleteItem', { TableName: this.#table, Key: { ...key }, ...expression }),
    );
  }

  /** Consistent. */
  async get(key: Item): Promise<Item | undefined> {
    const { Item } = await this.#call('GetItem', { TableName: this.#table, Key: { ...key }, ConsistentRead: true });
    return Item;
  }

  /** Consistent; in no order, and without those that are not there. @param keys without repetitions */
  async getAll(keys: readonly Item[]): Promise<Item[]> {
    const found: Item[] = [];
    for (let from = 0; from < keys.length; from += BATCH) {
      let wanted = keys.slice(from, from + BATCH).map((key) => ({ ...key }));
      for (let round = 0; wanted.length > 0; round++) {
        if (round === BATCH_ROUNDS) throw new NotDone(`${this.#table} is throttled: it answers a batch in part only`);
        const request = { [this.#table]: { Keys: wanted, ConsistentRead: true } };
        const { Responses, UnprocessedKeys } = await this.#call('BatchGetItem', { RequestItems: request });
        found.push(...(Responses?.[this.#table] ?? []));
        wanted = (UnprocessedKeys?.[this.#table]?.Keys ?? []) as typeof wanted;
      }
    }
    return found;
  }

  async query({ index, consistent, of: [key, value], from, limit, after }: Question): Promise<Page> {
    const { Items, LastEvaluatedKey } = await this.#query({
      ...(index === undefined ? {} : { IndexName: index }),
      ...(consistent ? { ConsistentRead: true } : {}),
      KeyConditionExpression: from === undefined ? '#key = :key' : '#key = :key AND #sort >= :from',
      ExpressionAttributeNames: { '#key': key, ...(from === undefined ? {} : { '#sort': from[0] }) },
      ExpressionAttributeValues: {
        ':key': { S: value },
        ...(from === undefined ? {} : { ':from': { N: String(from[1]) } }),
      },
      ...(limit === undefined ? {} : { Limit: limit }),
      ...(after === undefined ? {} : { ExclusiveStartKey: { ...after } }),
    });
    return { items: Items ?? [], next: LastEvaluatedKey };
  }

  /** How many items of an index there are from `after` on. */
  async count(index: string, [key, value]: readonly [string, string], after: Item): Promise<number> {
    let total = 0;
    for (let next: Item | undefined = after; next !== undefined; ) {
      const { Count, LastEvaluatedKey } = await this.#query({
        IndexName: index,
        KeyConditionExpression: '#key = :key',
        ExpressionAttributeNames: { '#key': key },
        ExpressionAttributeValues: { ':key': { S: value } },
        Select: 'COUNT',
        ExclusiveStartKey: { ...next },
      });
      total += Count ?? 0;
      next = LastEvaluatedKey;
    }
    return total;
  }

  #unlessThere({ key, attributes }: Companion): { TableName: string; Key: Record<string, Item[string]> } & Expression {
    const sets = Object.keys(attributes).map((name) => `#${name} = if_not_exists(#${name}, :${name})`);
    const UpdateExpression = `SET ${sets.join(', ')}`;
    const values = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`:${name}`, value]));
    return { TableName: this.#table, Key: { ...key }, UpdateExpression, ...named(UpdateExpression), ...valued(values) };
  }

  async #query(input: Omit<QueryCommandInput, 'TableName'>): Promise<Calls['Query']['output']> {
    return this.#call('Query', { TableName: this.#table, ...input });
  }

  async #conditional(key: Item, write: () => Promise<{ Attributes?: Item | undefined }>): Promise<Written> {
    try {
      return { done: true, item: (await write()).Attributes ?? key };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return { done: false, found: error instanceof ConditionalCheckFailedException ? error.Item : refusedItem(error) };
    }
  }

  async #call<Name extends keyof Calls>(name: Name, input: Calls[Name]['input']): Promise<Calls[Name]['output']> {
    try {
      return await this.#send(name, input);
    } catch (error) {
      if (isRefusal(error)) throw error;
      throw unavailable(this.#table, name, error);
    }
  }
}

interface Expression {
  readonly UpdateExpression: string;
  readonly ExpressionAttributeNames?: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, Item[string]>;
}

/** A condition does not hold: that of the one item, or that of a transaction's first part, which alone has one. */
function isRefusal(error: unknown): error is ConditionalCheckFailedException | TransactionCanceledException {
  if (error instanceof ConditionalCheckFailedException) return true;
  if (!(error instanceof TransactionCanceledException)) return false;
  return error.CancellationReasons?.[0]?.Code === 'ConditionalCheckFailed';
}

const refusedItem = (error: TransactionCanceledException): Item | undefined => error.CancellationReasons?.[0]?.Item;

/** Keys that BatchGetItem takes. */
const BATCH = 100;
/** DynamoDB answers 16 MB at a time, and less where it is throttled. */
const BATCH_ROUNDS = 10;

/** Answers that mean that nothing was done, with what to do about them. */
const NOTHING_DONE: Readonly<Record<string, string>> = {
  ProvisionedThroughputExceededException: 'it is throttled: a partition, the table or an index takes no more for now',
  ThrottlingException: 'it is throttled: the account or the table takes no more for now',
  RequestLimitExceeded: "the account's throughput is used up: ask AWS for a higher quota, or start fewer workers",
  TransactionConflictException: 'another transaction has the item: it is tried again',
  TransactionCanceledException: 'part of the transaction was throttled, or another has its item: it is tried again',
  ResourceNotFoundException:
    'there is no such table, or it lacks an index: create it as the chart of AWS does, or correct --journal-table and AWS_REGION',
  AccessDeniedException: "the worker's role may not do this: see docs/reference/aws.md",
  ValidationException: 'it refuses the request itself',
  UnrecognizedClientException: "the worker's credentials are not valid",
  ExpiredTokenException: "the worker's credentials have expired",
  ItemCollectionSizeLimitExceededException: 'the item collection is full',
};

function unavailable(table: string, name: string, error: unknown): JournalUnavailable {
  const { name: kind, message } = error instanceof Error ? error : new Error(String(error));
  const hint = NOTHING_DONE[kind];
  const told = `${name} on table ${table}: ${hint === undefined ? '' : `${hint} `}(${kind}: ${message})`;
  return hint === undefined ? new JournalUnavailable(told, { cause: error }) : new NotDone(told, { cause: error });
}

/** The attribute names that an expression uses. */
function named(expression: string): { ExpressionAttributeNames?: Record<string, string> } {
  const names: Record<string, string> = {};
  for (const [token] of expression.matchAll(/#\w+/g)) names[token] = token.slice(1);
  return { ExpressionAttributeNames: names };
}

function valued(values: Item): { ExpressionAttributeValues?: Record<string, Item[string]> } {
  return Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: { ...values } };
}
