interface Waiting<Item> {
  readonly item: Item;
  readonly resolve: (failure: string | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one call of many single ones: what comes in one turn of the event loop, or while the call before is under way, goes together, up to
 * `maxItems` and `maxBytes`. (The operator has its like in operator/src/aws/gathered.ts: neither may import the other.)
 */
export class Gathered<Item> {
  readonly #carry: (items: readonly Item[]) => Promise<readonly (string | undefined)[]>;
  readonly #maxItems: number;
  readonly #maxBytes: number;
  readonly #bytesOf: (item: Item) => number;
  readonly #waiting: Waiting<Item>[] = [];
  #running = false;

  /** `carry` says of each item, in order, why it failed; undefined where it did not. Where it rejects, all have failed. */
  constructor(
    carry: (items: readonly Item[]) => Promise<readonly (string | undefined)[]>,
    maxItems: number,
    maxBytes = Number.POSITIVE_INFINITY,
    bytesOf: (item: Item) => number = () => 0,
  ) {
    this.#carry = carry;
    this.#maxItems = maxItems;
    this.#maxBytes = maxBytes;
    this.#bytesOf = bytesOf;
  }

  /** Resolves with why it failed, if it did. @throws what its call did */
  add(item: Item): Promise<string | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    this.#waiting.push({ item, resolve, reject });
    if (!this.#running) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const taken = this.#take();
      try {
        const failures = await this.#carry(taken.map(({ item }) => item));
        for (const [i, { resolve }] of taken.entries()) resolve(failures[i]);
      } catch (error) {
        for (const { reject } of taken) reject(error);
      }
    }
    this.#running = false;
  }

  #take(): Waiting<Item>[] {
    let count = 0;
    let bytes = 0;
    for (const { item } of this.#waiting) {
      bytes += this.#bytesOf(item);
      if (count === this.#maxItems || (count > 0 && bytes > this.#maxBytes)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }
}
