/** More are not remembered; the oldest are forgotten first, and at worst share a batch again. */
const MAX_SUSPECTS = 10_000;

/**
 * The keys of commands that had a batch fail, or were too slow for it: one of them would have the same done to its neighbours again and again, until
 * their attempts were used up. They are sent alone until they were answered.
 */
export class Suspects {
  readonly #keys = new Set<string>();

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    if (this.#keys.size >= MAX_SUSPECTS) {
      const oldest = this.#keys.values().next();
      if (!oldest.done) this.#keys.delete(oldest.value);
    }
    this.#keys.add(key);
  }

  clear(key: string): void {
    this.#keys.delete(key);
  }
}
