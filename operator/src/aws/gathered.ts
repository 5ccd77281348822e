/** How single items become calls for several. */
export interface GatheredOptions<Item, Outcome> {
  /** Carries items out in one call, and gives an outcome for each, in their order. Where it rejects, each of them does. */
  readonly carry: (items: readonly Item[]) => Promise<readonly Outcome[]>;
  /** Of one item, in a call. @default nothing: only `maxItems` counts */
  readonly bytesOf?: (item: Item) => number;
  /** In one call; an item that is larger goes alone. @default no limit */
  readonly maxBytes?: number;
  readonly maxItems: number;
  /** Calls at once; meanwhile the next ones fill up. @default 8 */
  readonly maxCalls?: number;
}

interface Waiting<Item, Outcome> {
  readonly item: Item;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one call of many single ones: what comes in one turn of the event loop, or while all calls are under way, goes together. Nothing is held
 * back to wait for more.
 */
export class Gathered<Item, Outcome> {
  readonly #options: GatheredOptions<Item, Outcome>;
  readonly #maxCalls: number;
  readonly #waiting: Waiting<Item, Outcome>[] = [];
  #calls = 0;
  #woken = false;

  constructor(options: GatheredOptions<Item, Outcome>) {
    this.#options = options;
    this.#maxCalls = options.maxCalls ?? 8;
  }

  /** The item's own outcome. @throws what its call did */
  add(item: Item): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    this.#waiting.push({ item, resolve, reject });
    this.#wake();
    return promise;
  }

  #wake(): void {
    if (this.#woken || this.#waiting.length === 0 || this.#calls >= this.#maxCalls) return;
    this.#woken = true;
    setImmediate(() => {
      this.#woken = false;
      while (this.#waiting.length > 0 && this.#calls < this.#maxCalls) void this.#call(this.#take());
    });
  }

  #take(): Waiting<Item, Outcome>[] {
    const { maxItems, maxBytes = Number.POSITIVE_INFINITY, bytesOf = () => 0 } = this.#options;
    let count = 0;
    let bytes = 0;
    for (const { item } of this.#waiting) {
      bytes += bytesOf(item);
      if (count === maxItems || (count > 0 && bytes > maxBytes)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #call(taken: readonly Waiting<Item, Outcome>[]): Promise<void> {
    this.#calls++;
    try {
      const outcomes = await this.#options.carry(taken.map(({ item }) => item));
      if (outcomes.length !== taken.length)
        throw new Error(`${outcomes.length} outcomes came of a call for ${taken.length} items`);
      for (const [i, { resolve }] of taken.entries()) resolve(outcomes[i] as Outcome);
    } catch (error) {
      for (const { reject } of taken) reject(error);
    } finally {
      this.#calls--;
      this.#wake();
    }
  }
}
