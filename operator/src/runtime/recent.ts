/**
 * A map that remembers the so many entries that were used last. For what can be asked for again: it makes a cache that does not grow with what people write over
 * the years.
 */
export class Recent<K, V> {
  readonly #entries = new Map<K, V>();
  readonly #most: number;

  /** @param most entries that are kept, from 1 */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The entry, which counts as used. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  /** Enters it as the one that was used last; where there are too many, the one that was not used for longest goes. */
  set(key: K, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#most) this.#entries.delete(this.#entries.keys().next().value as K);
    this.#entries.set(key, value);
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }
}

/** Revisions that a process keeps in memory: some kilobytes each, and few are used at a time. One that is not there is read again. */
export const REVISIONS_KEPT = 1_000;
