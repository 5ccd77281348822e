import type { Item } from '@mercato/operator/journals/dynamodb/keys.ts';
import { invalid } from '@mercato/operator/testing/dynamo-faults.ts';

export type Value = Item[string];

/** What an expression's `#names` and `:values` stand for. */
export interface Terms {
  readonly names: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, Value>>;
}

/** Whether a condition holds of an item, which is empty where there is none. */
export type Condition = (item: Item) => boolean;
/** An item as it is after an update. */
export type Update = (item: Item) => Item;

type Operand = (item: Item) => Value | undefined;

/**
 * The part of DynamoDB's expression language that the journal uses; anything else is refused, as DynamoDB refuses what it does not know. Each `#name` and
 * `:value` that is given must be used, by one of the request's expressions.
 */
export class Expressions {
  readonly #terms: Terms;
  readonly #used = new Set<string>();
  #tokens: string[] = [];

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  /** @throws ValidationException */
  condition(text: string): Condition {
    this.#begin(text);
    const condition = this.#either();
    this.#end(text);
    return condition;
  }

  /** @throws ValidationException */
  update(text: string): Update {
    this.#begin(text);
    const sets: (readonly [string, Operand])[] = [];
    const removes: string[] = [];
    if (this.#takes('SET'))
      do sets.push(this.#assignment());
      while (this.#takes(','));
    if (this.#takes('REMOVE'))
      do removes.push(this.#name());
      while (this.#takes(','));
    this.#end(text);
    const paths = [...sets.map(([name]) => name), ...removes];
    if (new Set(paths).size !== paths.length) throw invalid('Two document paths overlap with each other');
    return (item) => changed(item, sets, removes);
  }

  /** @throws ValidationException where a name or value was given and not used */
  finish(): void {
    const { names, values } = this.#terms;
    const spare = [...Object.keys(names), ...Object.keys(values)].filter((token) => !this.#used.has(token));
    if (spare.length > 0) throw invalid(`Value provided that is unused in expressions: ${spare.join(', ')}`);
  }

  #begin(text: string): void {
    this.#tokens = text.match(/[#:]\w+|\w+|<>|<=|>=|\S/g) ?? [];
  }

  #end(text: string): void {
    if (this.#tokens.length > 0) throw invalid(`Syntax error; token: "${this.#tokens[0]}" in: ${text}`);
  }

  #either(): Condition {
    const first = this.#all();
    if (!this.#takes('OR')) return first;
    const second = this.#either();
    return (item) => first(item) || second(item);
  }

  #all(): Condition {
    const first = this.#one();
    if (!this.#takes('AND')) return first;
    const second = this.#all();
    return (item) => first(item) && second(item);
  }

  #one(): Condition {
    if (this.#takes('attribute_exists')) return this.#ofName((name) => (item) => item[name] !== undefined);
    if (this.#takes('attribute_not_exists')) return this.#ofName((name) => (item) => item[name] === undefined);
    if (this.#takes('contains')) return this.#contains();
    const left = this.#operand();
    const sign = this.#next();
    const right = this.#operand();
    return (item) => compare(left(item), sign, right(item));
  }

  #ofName(make: (name: string) => Condition): Condition {
    this.#expect('(');
    const condition = make(this.#name());
    this.#expect(')');
    return condition;
  }

  #contains(): Condition {
    this.#expect('(');
    const name = this.#name();
    this.#expect(',');
    const part = this.#operand();
    this.#expect(')');
    return (item) => item[name]?.S?.includes(part(item)?.S ?? '\0') ?? false;
  }

  #assignment(): readonly [string, Operand] {
    const name = this.#name();
    this.#expect('=');
    const first = this.#settable();
    if (!this.#takes('+')) return [name, first];
    const second = this.#settable();
    return [name, (item) => ({ N: String(Number(first(item)?.N) + Number(second(item)?.N)) })];
  }

  #settable(): Operand {
    if (!this.#takes('if_not_exists')) return present(this.#operand());
    this.#expect('(');
    const name = this.#name();
    this.#expect(',');
    const otherwise = present(this.#operand());
    this.#expect(')');
    return (item) => item[name] ?? otherwise(item);
  }

  #operand(): Operand {
    if (this.#tokens[0]?.startsWith('#')) {
      const name = this.#name();
      return (item) => item[name];
    }
    const token = this.#next();
    const value = this.#terms.values[token];
    if (value === undefined) throw invalid(`An expression attribute value is not defined; attribute value: ${token}`);
    this.#used.add(token);
    return () => value;
  }

  #name(): string {
    const token = this.#next();
    const name = this.#terms.names[token];
    if (name === undefined) throw invalid(`An expression attribute name is not defined; attribute name: ${token}`);
    this.#used.add(token);
    return name;
  }

  #takes(token: string): boolean {
    if (this.#tokens[0] !== token) return false;
    this.#tokens.shift();
    return true;
  }

  #expect(token: string): void {
    if (!this.#takes(token))
      throw invalid(`Syntax error; "${token}" is missing before "${this.#tokens[0] ?? 'the end'}"`);
  }

  #next(): string {
    return this.#tokens.shift() ?? '';
  }
}

function present(operand: Operand): Operand {
  return (item) => {
    const value = operand(item);
    if (value === undefined)
      throw invalid('The provided expression refers to an attribute that does not exist in the item');
    return value;
  };
}

/** All that is set is computed from the item as it was. */
function changed(item: Item, sets: readonly (readonly [string, Operand])[], removes: readonly string[]): Item {
  const set = Object.fromEntries(sets.map(([name, operand]) => [name, operand(item) as Value]));
  const kept = Object.entries(item).filter(([name]) => !removes.includes(name));
  return { ...Object.fromEntries(kept), ...set };
}

function compare(left: Value | undefined, sign: string, right: Value | undefined): boolean {
  if (sign === '<>') return !isSame(left, right);
  if (left === undefined || right === undefined) return false;
  if (sign === '=') return isSame(left, right);
  const order = orderOf(left, right);
  switch (sign) {
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    default:
      throw invalid(`Syntax error; token: "${sign}"`);
  }
}

function isSame(left: Value | undefined, right: Value | undefined): boolean {
  if (left?.N !== undefined && right?.N !== undefined) return Number(left.N) === Number(right.N);
  return left?.S === right?.S && left?.N === right?.N && left?.BOOL === right?.BOOL;
}

/** Values of one type in their order, as sort keys have it; values of different types have none. Text is taken to be ASCII, as all keys are. */
export function orderOf(left: Value, right: Value): number {
  if (left.N !== undefined && right.N !== undefined) return Number(left.N) - Number(right.N);
  if (left.S !== undefined && right.S !== undefined) return left.S === right.S ? 0 : left.S < right.S ? -1 : 1;
  return Number.NaN;
}
