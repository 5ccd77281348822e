import type { Calls } from '@mercato/operator/journals/dynamodb/calls.ts';
import type { Item } from '@mercato/operator/journals/dynamodb/keys.ts';
import type { JournalIndex, JournalTable, KeyAttribute } from '@mercato/operator/journals/dynamodb/table.ts';
import { cancelled, invalid, refused } from '@mercato/operator/testing/dynamo-faults.ts';
import { Expressions, orderOf } from './expressions.ts';

export interface SimulatedTableOptions {
  readonly declaration: JournalTable;
  /** Milliseconds, from anywhere. */
  readonly now: () => number;
  /** How much later an index, or a read that is not consistent, has a change. Milliseconds. */
  readonly lag: () => number;
  /** Told what was changed, by one call, after that. Items that were deleted are not among it. */
  readonly changed: (items: readonly Item[]) => void;
}

/** One item's change: what a call asks for, parsed. */
interface Write {
  readonly key: string;
  readonly condition: (item: Item) => boolean;
  readonly next: (item: Item) => Item | undefined;
  /** The item is wanted where the condition does not hold. */
  readonly shows: boolean;
}

interface Late {
  readonly at: number;
  readonly key: string;
  readonly shows: Item | undefined;
}

type WriteInput = Calls['PutItem']['input'] | Calls['UpdateItem']['input'] | Calls['DeleteItem']['input'];
type Named = Pick<WriteInput, 'ExpressionAttributeNames' | 'ExpressionAttributeValues'>;

/**
 * A simulated table: what the simulation has in place of DynamoDB, below the calls that the dynamodb journal makes. Calls are carried out one after the
 * other, each at once or not at all; indexes, and reads that do not ask for consistency, are late. table.test.ts holds it to DynamoDB Local, call by call.
 */
export class SimulatedTable {
  readonly #o: SimulatedTableOptions;
  readonly #items = new Map<string, Item>();
  readonly #indexes: ReadonlyMap<string, LateView>;
  /** The table itself, as reads see it that are not consistent. */
  readonly #copy: LateView;

  constructor(options: SimulatedTableOptions) {
    this.#o = options;
    const { partitionKey, sortKey, indexes } = options.declaration;
    const keys = [partitionKey.name, sortKey.name];
    this.#copy = new LateView(keys, keys, (item) => item, options);
    this.#indexes = new Map(
      indexes.map((index) => {
        const own = keysOf(index);
        return [index.name, new LateView(own, [...own, ...keys], (item) => projected(item, own, keys), options)];
      }),
    );
  }

  /** Carries one call out. @throws the SDK's errors, for a condition that does not hold and for what DynamoDB refuses */
  carryOut<Name extends keyof Calls>(name: Name, input: Calls[Name]['input']): Calls[Name]['output'] {
    const handlers: {
      readonly [N in keyof Calls]: (input: Calls[N]['input']) => Omit<Calls[N]['output'], '$metadata'>;
    } = {
      PutItem: (put) => this.#alone(this.#put(put)),
      DeleteItem: (deletion) => this.#alone(this.#deletion(deletion)),
      UpdateItem: (update) => this.#updated(update),
      GetItem: ({ Key }) => this.#got(this.#keyOf(Key)),
      BatchGetItem: (batch) => this.#gotAll(batch),
      Query: (query) => this.#query(query),
      TransactWriteItems: ({ TransactItems }) => this.#transact(TransactItems ?? []),
    };
    return { $metadata: {}, ...handlers[name](input) } as Calls[Name]['output'];
  }

  #put({ Item: item = {}, ...rest }: Calls['PutItem']['input']): Write {
    return this.#write(item, rest, () => ({ ...item }));
  }

  #deletion({ Key, ...rest }: Calls['DeleteItem']['input']): Write {
    return this.#write(Key, rest, () => undefined);
  }

  #update({ Key, UpdateExpression = '', ...rest }: Omit<Calls['UpdateItem']['input'], 'ReturnValues'>): Write {
    const expressions = new Expressions(termsOf(rest));
    const update = expressions.update(UpdateExpression);
    return this.#write(Key, rest, (item) => update({ ...item, ...Key }), expressions);
  }

  #write(
    key: Item | undefined,
    {
      ConditionExpression,
      ReturnValuesOnConditionCheckFailure: shown,
      ...rest
    }: Pick<Calls['UpdateItem']['input'], 'ConditionExpression' | 'ReturnValuesOnConditionCheckFailure'> & Named,
    next: Write['next'],
    expressions = new Expressions(termsOf(rest)),
  ): Write {
    const condition = ConditionExpression === undefined ? () => true : expressions.condition(ConditionExpression);
    expressions.finish();
    return { key: this.#keyOf(key), condition, next, shows: shown === 'ALL_OLD' };
  }

  #alone(write: Write): Record<never, never> {
    const before = this.#items.get(write.key);
    if (!write.condition(before ?? {})) throw refused(write.shows ? before : undefined);
    this.#commit([[write.key, this.#checked(write.next(before ?? {}))]]);
    return {};
  }

  #updated(input: Calls['UpdateItem']['input']): { Attributes?: Record<string, Item[string]> } {
    const write = this.#update(input);
    this.#alone(write);
    return input.ReturnValues === 'ALL_NEW' ? { Attributes: { ...this.#items.get(write.key) } } : {};
  }

  #transact(parts: readonly TransactPart[]): Record<never, never> {
    const writes = parts.map((part): Write => {
      if (part.Update !== undefined) return this.#update(part.Update);
      throw invalid('the simulated table knows transactions of updates only: teach it more');
    });
    if (new Set(writes.map(({ key }) => key)).size !== writes.length)
      throw invalid('Transaction request cannot include multiple operations on one item');
    const holds = writes.map(({ key, condition }) => condition(this.#items.get(key) ?? {}));
    if (!holds.every(Boolean)) throw cancelled(writes.map((write, n) => this.#reason(write, holds[n] ?? false)));
    this.#commit(writes.map(({ key, next }) => [key, this.#checked(next(this.#items.get(key) ?? {}))] as const));
    return {};
  }

  #reason({ key, shows }: Write, holds: boolean): Parameters<typeof cancelled>[0][number] {
    if (holds) return { Code: 'None' };
    const found = shows ? this.#items.get(key) : undefined;
    return { Code: 'ConditionalCheckFailed', ...(found === undefined ? {} : { Item: { ...found } }) };
  }

  #commit(changes: readonly (readonly [string, Item | undefined])[]): void {
    for (const [key, item] of changes) {
      if (item === undefined) this.#items.delete(key);
      else this.#items.set(key, item);
      for (const view of [this.#copy, ...this.#indexes.values()]) view.changes(key, item);
    }
    this.#o.changed(changes.flatMap(([, item]) => (item === undefined ? [] : [item])));
  }

  #got(key: string): { Item?: Record<string, Item[string]> } {
    const item = this.#items.get(key);
    return item === undefined ? {} : { Item: { ...item } };
  }

  #gotAll({ RequestItems = {} }: Calls['BatchGetItem']['input']): Omit<Calls['BatchGetItem']['output'], '$metadata'> {
    const Responses = Object.fromEntries(
      Object.entries(RequestItems).map(([table, { Keys = [] }]) => {
        const keys = Keys.map((key) => this.#keyOf(key));
        if (new Set(keys).size !== keys.length) throw invalid('Provided list of item keys contains duplicates');
        return [table, keys.map((key) => this.#got(key).Item).filter((item) => item !== undefined)];
      }),
    );
    return { Responses, UnprocessedKeys: {} };
  }

  #query(input: Calls['Query']['input']): Omit<Calls['Query']['output'], '$metadata'> {
    const { IndexName, KeyConditionExpression = '', Limit, ExclusiveStartKey: after, Select } = input;
    const index = IndexName === undefined ? undefined : this.#indexes.get(IndexName);
    if (IndexName !== undefined && index === undefined) throw invalid(`The table does not have the index ${IndexName}`);
    if (index !== undefined && input.ConsistentRead === true)
      throw invalid('Consistent reads are not supported on global secondary indexes');
    const expressions = new Expressions(termsOf(input));
    const condition = expressions.condition(KeyConditionExpression);
    expressions.finish();
    const view = index ?? this.#copy;
    const { order } = view;
    const found = (input.ConsistentRead === true ? [...this.#items.values()] : view.items())
      .filter(condition)
      .sort(order);
    const rest = after === undefined ? found : found.filter((item) => order(item, after) > 0);
    const items = Limit === undefined ? rest : rest.slice(0, Limit);
    const last = items.length === Limit ? items.at(-1) : undefined;
    return {
      Count: items.length,
      ...(Select === 'COUNT' ? {} : { Items: items.map((item) => ({ ...item })) }),
      ...(last === undefined ? {} : { LastEvaluatedKey: view.startKey(last) }),
    };
  }

  #keyOf(item: Item | undefined): string {
    const { partitionKey, sortKey } = this.#o.declaration;
    return JSON.stringify([partitionKey, sortKey].map((key) => keyText(item ?? {}, key)));
  }

  /** What an index is by must have the index's type, wherever it is there at all. */
  #checked(item: Item | undefined): Item | undefined {
    if (item === undefined) return undefined;
    for (const { partitionKey, sortKey } of this.#o.declaration.indexes)
      for (const key of [partitionKey, ...(sortKey === undefined ? [] : [sortKey])])
        if (item[key.name] !== undefined) keyText(item, key);
    return item;
  }
}

type TransactPart = NonNullable<Calls['TransactWriteItems']['input']['TransactItems']>[number];

/** What an index, or a replica of the table, shows: behind the table by as much as each change was late. */
class LateView {
  readonly order: (left: Item, right: Item) => number;
  readonly #sortedBy: readonly string[];
  readonly #keys: readonly string[];
  readonly #project: (item: Item) => Item | undefined;
  readonly #o: SimulatedTableOptions;
  readonly #shown = new Map<string, Item>();
  #late: Late[] = [];

  /** @param keys what it is by: partition key, sort key @param sortedBy these, and what tells items apart that have the same */
  constructor(
    keys: readonly string[],
    sortedBy: readonly string[],
    project: (item: Item) => Item | undefined,
    options: SimulatedTableOptions,
  ) {
    this.#o = options;
    this.#keys = keys;
    this.#sortedBy = sortedBy;
    this.#project = project;
    this.order = (left, right) => byKeys(left, right, this.#sortedBy);
  }

  /** The item is so now, or gone. Changes of one item come in their order. */
  changes(key: string, item: Item | undefined): void {
    const isIn = item !== undefined && this.#keys.every((name) => item[name] !== undefined);
    const shows = isIn ? this.#project(item) : undefined;
    const before = this.#late.findLast((late) => late.key === key);
    const showed = before === undefined ? this.#shown.get(key) : before.shows;
    if (shows === showed || (shows && showed && byKeys(shows, showed, this.#sortedBy) === 0 && shows !== item)) return;
    this.#late.push({ at: Math.max(before?.at ?? 0, this.#o.now() + this.#o.lag()), key, shows });
  }

  items(): Item[] {
    const now = this.#o.now();
    for (const { at, key, shows } of this.#late) {
      if (at > now) continue;
      if (shows === undefined) this.#shown.delete(key);
      else this.#shown.set(key, shows);
    }
    this.#late = this.#late.filter(({ at }) => at > now);
    return [...this.#shown.values()];
  }

  /** Where the next page begins. */
  startKey(item: Item): Record<string, Item[string]> {
    return Object.fromEntries(this.#sortedBy.map((name) => [name, item[name] as Item[string]]));
  }
}

function keysOf({ partitionKey, sortKey }: JournalIndex): string[] {
  return [partitionKey.name, ...(sortKey === undefined ? [] : [sortKey.name])];
}

/** Keys only. */
function projected(item: Item, own: readonly string[], table: readonly string[]): Item {
  return Object.fromEntries([...own, ...table].map((name) => [name, item[name] as Item[string]]));
}

function termsOf({ ExpressionAttributeNames: names = {}, ExpressionAttributeValues: values = {} }: Named): {
  names: Record<string, string>;
  values: Record<string, Item[string]>;
} {
  return { names, values };
}

function keyText(item: Item, { name, type }: KeyAttribute): string {
  const text = item[name]?.[type];
  if (text === undefined || text === '')
    throw invalid(`One or more parameter values were invalid: the key attribute ${name} must be a ${type}`);
  return text;
}

function byKeys(left: Item, right: Item, names: readonly string[]): number {
  for (const name of names) {
    const order = orderOf(left[name] ?? { S: '' }, right[name] ?? { S: '' });
    if (order !== 0) return order;
  }
  return 0;
}
