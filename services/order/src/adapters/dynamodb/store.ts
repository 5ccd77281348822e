import type { AttributeValue, QueryCommandInput, TransactWriteItem, WriteRequest } from '@aws-sdk/client-dynamodb';
import { type Clock, milliseconds } from '@mercato/kit';
import type { Calls, Send } from './calls.ts';
import { isPassing, isRefused, refusedPart, unavailable } from './failures.ts';

/** An item, or a part of one, as DynamoDB's low-level client has it. */
export type Item = Readonly<Record<string, AttributeValue>>;

export const S = (text: string): AttributeValue => ({ S: text });
export const N = (number: number): AttributeValue => ({ N: String(number) });

/** An item's text. @throws TypeError where it has none */
export function textOf(item: Item, attribute: string): string {
  const text = item[attribute]?.S;
  if (text === undefined) throw new TypeError(`an item ${item['pk']?.S} has no ${attribute}: the table is not ours`);
  return text;
}

/** What came of a transaction: done, or the first part whose condition did not hold, and the item that was there. */
export type Transacted =
  | { readonly done: true }
  | { readonly done: false; readonly part: number; readonly found: Item | undefined };

/** A condition on an item. In expressions `#name` is the attribute `name`, which may be a reserved word, and `:name` a value. */
export interface Condition {
  readonly when: string;
  readonly values?: Item;
}

/** How often, and after which pauses, what may pass is tried again. */
export interface Patience {
  /** Tries in all. @default 8 */
  readonly tries: number;
  /** The first pause is up to this; each further one up to twice the one before. Milliseconds. @default 25 */
  readonly base: number;
  /** The longest pause. Milliseconds. @default 1000 */
  readonly most: number;
}

const PATIENCE: Patience = { tries: 8, base: 25, most: 1_000 };
/** Keys that BatchGetItem takes, and deletions that BatchWriteItem does. */
const GET_BATCH = 100;
const WRITE_BATCH = 25;

export interface StoreOptions {
  readonly send: Send;
  readonly table: string;
  readonly clock: Clock;
  readonly patience?: Partial<Patience>;
  /** In [0, 1): how long a pause is. @default Math.random */
  readonly random?: () => number;
}

/**
 * One table, spoken to by the low-level client. A condition that does not hold is an answer here, not an error. What may pass (a conflict of transactions,
 * throttling, a 5xx, a time-out) is tried again after a pause of random length, so that those who collided do not meet again; then it is OrdersUnavailable.
 */
export class Store {
  readonly #o: StoreOptions;
  readonly #patience: Patience;

  constructor(options: StoreOptions) {
    this.#o = options;
    this.#patience = { ...PATIENCE, ...options.patience };
  }

  /**
   * Writes all of it or nothing.
   * @param token names the transaction: a copy of it within ten minutes is answered as the first was. Later, or where the table was changed since, the
   * conditions decide, so that each must be one that its own write makes false.
   */
  async transact(parts: readonly TransactWriteItem[], token: string): Promise<Transacted> {
    try {
      await this.#call('TransactWriteItems', { TransactItems: [...parts], ClientRequestToken: token });
      return { done: true };
    } catch (error) {
      const refused = refusedPart((error as Error).cause);
      if (refused === undefined) throw error;
      return { done: false, ...refused };
    }
  }

  /** A part of a transaction that writes a whole item. */
  put(item: Item, condition?: Condition): TransactWriteItem {
    const when = condition === undefined ? {} : conditional(condition.when, condition);
    return { Put: { TableName: this.#o.table, Item: { ...item }, ...when } };
  }

  /** A part of a transaction that changes an item. */
  update(key: Item, update: string, condition: Required<Condition>): TransactWriteItem {
    const expression = { UpdateExpression: update, ...conditional(`${update} ${condition.when}`, condition) };
    return { Update: { TableName: this.#o.table, Key: { ...key }, ...expression } };
  }

  /** Writes one item; false where the condition does not hold. Repeated, it may find its own write. */
  async putOne(item: Item, condition?: Condition): Promise<boolean> {
    const { ReturnValuesOnConditionCheckFailure: _none, ...when } =
      condition === undefined ? ({} as ReturnType<typeof conditional>) : conditional(condition.when, condition);
    return this.#unlessRefused('PutItem', { TableName: this.#o.table, Item: { ...item }, ...when });
  }

  /** Deletes one item; false where the condition does not hold. */
  async deleteOne(key: Item, condition: Condition): Promise<boolean> {
    const { ReturnValuesOnConditionCheckFailure: _none, ...when } = conditional(condition.when, condition);
    return this.#unlessRefused('DeleteItem', { TableName: this.#o.table, Key: { ...key }, ...when });
  }

  /** Consistent. */
  async get(key: Item): Promise<Item | undefined> {
    return (await this.#call('GetItem', { TableName: this.#o.table, Key: { ...key }, ConsistentRead: true })).Item;
  }

  /** Consistent; in no order, and without those that are not there. @param keys without repetitions */
  async getAll(keys: readonly Item[]): Promise<Item[]> {
    const { table } = this.#o;
    const found: Item[] = [];
    for (let from = 0; from < keys.length; from += GET_BATCH) {
      let wanted = keys.slice(from, from + GET_BATCH).map((key) => ({ ...key }));
      for (let round = 0; wanted.length > 0; round++) {
        await this.#pauseBefore(round, 'BatchGetItem');
        const input = { RequestItems: { [table]: { Keys: wanted, ConsistentRead: true } } };
        const { Responses, UnprocessedKeys } = await this.#call('BatchGetItem', input);
        found.push(...(Responses?.[table] ?? []));
        wanted = (UnprocessedKeys?.[table]?.Keys ?? []) as typeof wanted;
      }
    }
    return found;
  }

  /** Deletes what is there of these. Several calls: when it rejects, some may be gone. */
  async deleteAll(keys: readonly Item[]): Promise<void> {
    const batches = Array.from({ length: Math.ceil(keys.length / WRITE_BATCH) }, (_, i) =>
      keys.slice(i * WRITE_BATCH, (i + 1) * WRITE_BATCH),
    );
    await Promise.all(batches.map((batch) => this.#deleteBatch(batch)));
  }

  /** One page. */
  query(input: Omit<QueryCommandInput, 'TableName'>): Promise<Calls['Query']['output']> {
    return this.#call('Query', { TableName: this.#o.table, ...input });
  }

  /** How many items a partition has, or an index's; counted for so many pages of a megabyte at most. */
  async count(input: Omit<QueryCommandInput, 'TableName' | 'Select'>, pages: number): Promise<number> {
    let total = 0;
    let start: QueryCommandInput['ExclusiveStartKey'];
    for (let page = 0; page < pages; page++) {
      const from = start === undefined ? {} : { ExclusiveStartKey: start };
      const { Count = 0, LastEvaluatedKey } = await this.query({ ...input, Select: 'COUNT', ...from });
      total += Count;
      start = LastEvaluatedKey;
      if (start === undefined) break;
    }
    return total;
  }

  async #deleteBatch(keys: readonly Item[]): Promise<void> {
    const { table } = this.#o;
    let left: WriteRequest[] = keys.map((key) => ({ DeleteRequest: { Key: { ...key } } }));
    for (let round = 0; left.length > 0; round++) {
      await this.#pauseBefore(round, 'BatchWriteItem');
      const { UnprocessedItems } = await this.#call('BatchWriteItem', { RequestItems: { [table]: left } });
      left = UnprocessedItems?.[table] ?? [];
    }
  }

  /** What was throttled in part is tried again as what was throttled as a whole. */
  async #pauseBefore(round: number, call: string): Promise<void> {
    if (round === 0) return;
    if (round === this.#patience.tries)
      throw unavailable(this.#o.table, call, new Error('it is throttled: it carries out a part of each batch only'));
    await this.#pause(round);
  }

  async #unlessRefused<Name extends 'PutItem' | 'DeleteItem'>(
    name: Name,
    input: Calls[Name]['input'],
  ): Promise<boolean> {
    try {
      await this.#call(name, input);
      return true;
    } catch (error) {
      if (isRefused((error as Error).cause)) return false;
      throw error;
    }
  }

  async #call<Name extends keyof Calls>(name: Name, input: Calls[Name]['input']): Promise<Calls[Name]['output']> {
    for (let tried = 1; ; tried++) {
      try {
        return await this.#o.send(name, input);
      } catch (error) {
        const isFinal = refusedPart(error) !== undefined || isRefused(error) || !isPassing(error);
        if (isFinal || tried >= this.#patience.tries) throw unavailable(this.#o.table, name, error);
        await this.#pause(tried);
      }
    }
  }

  /** Anything up to a bound that doubles ("full jitter"). */
  #pause(tried: number): Promise<void> {
    const { base, most } = this.#patience;
    const bound = Math.min(most, base * 2 ** (tried - 1));
    const length = milliseconds(Math.ceil(bound * (this.#o.random ?? Math.random)()));
    return new Promise((resolve) => void this.#o.clock.schedule(length, resolve));
  }
}

function conditional(expressions: string, { when, values = {} }: Condition) {
  const names: Record<string, string> = {};
  for (const [token] of `${expressions} ${when}`.matchAll(/#\w+/g)) names[token] = token.slice(1);
  return {
    ConditionExpression: when,
    ExpressionAttributeNames: names,
    ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: { ...values } }),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
  };
}
