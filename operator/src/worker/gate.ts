/** Counts what is under way, so that a stop can wait for it: nothing new begins once it is closed. */
export class Gate {
  #inside = 0;
  #closed = true;
  #idle: PromiseWithResolvers<void> | undefined;

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** How much is under way. */
  get inside(): number {
    return this.#inside;
  }

  open(): void {
    this.#closed = false;
  }

  enter(): void {
    this.#inside += 1;
  }

  leave(): void {
    this.#inside -= 1;
    if (this.#inside === 0) this.#idle?.resolve();
  }

  /** Resolves when what was under way has left. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#inside === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }
}
