import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from '@mercato/bench/fleet.ts';

const POLL_MS = 20;

/** Starts again what ends, as a kubelet does, until it is stopped; and kills. */
export class Kubelet {
  /** How often each program ended without being killed here: having lost its life in the journal, that is what a worker is to do. */
  readonly exits = new Map<string, number>();
  /** How often each was killed. */
  readonly killed = new Map<string, number>();
  readonly #fleet: Fleet;
  readonly #keeping: Promise<void>[];
  readonly #working = new Set<string>();
  readonly #mine = new Set<string>();
  #stopped = false;
  #failure: unknown;

  /** @param names of programs that run now */
  constructor(fleet: Fleet, names: readonly string[]) {
    this.#fleet = fleet;
    for (const name of names) this.#working.add(name);
    this.#keeping = names.map((name) => this.#keep(name));
  }

  /** Whether it is ready, as far as is known. */
  works(name: string): boolean {
    return this.#working.has(name) && this.#fleet.endOf(name) === undefined;
  }

  /** Sends SIGKILL, also to one that only starts; it is started again. @throws what kept anything from being started again */
  async kill(name: string): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // It may have ended by itself, and what does not run cannot be killed.
    while (this.#fleet.endOf(name) !== undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      await pause(POLL_MS);
    }
    this.#working.delete(name);
    this.#mine.add(name);
    this.killed.set(name, (this.killed.get(name) ?? 0) + 1);
    await this.#fleet.kill(name);
  }

  /** Resolves once all work. @throws what kept anything from being started again */
  async untilAllWork(names: Iterable<string>): Promise<void> {
    for (const name of names)
      while (!this.works(name)) {
        if (this.#failure !== undefined) throw this.#failure;
        await pause(POLL_MS);
      }
  }

  /** From now on what ends stays so. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#keeping);
  }

  async #keep(name: string): Promise<void> {
    while (!this.#stopped && this.#failure === undefined) {
      if (this.#fleet.endOf(name) === undefined) {
        await pause(POLL_MS);
        continue;
      }
      if (!this.#mine.delete(name)) this.exits.set(name, (this.exits.get(name) ?? 0) + 1);
      this.#working.delete(name);
      try {
        await this.#fleet.startAgain(name);
        this.#working.add(name);
      } catch (error) {
        // It was killed before it was ready: once more. What does not come at all, or ends by itself before, is a fault of its own.
        if (!this.#mine.has(name)) this.#failure ??= error;
      }
    }
  }
}
