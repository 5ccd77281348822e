import { type Instant, instant, type Clock as KitClock } from '@mercato/kit';
import type { Clock } from '@mercato/operator/runtime/clock.ts';
import type { Scheduler } from './scheduler.ts';

/** What every wall clock of the simulation shows at its begin, unless it is off. */
export const EPOCH = Date.UTC(2026, 10, 22, 12);

/**
 * One process on one machine: it has a wall clock that may jump, a monotonic clock that does not, and it can die. What it had planned to do then does
 * not happen.
 */
export class Node implements Clock, KitClock {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #started: number;
  #offset = 0;
  #alive = true;
  #frozenUntil = 0;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.#scheduler = scheduler;
    this.#started = scheduler.now;
  }

  get alive(): boolean {
    return this.#alive;
  }

  die(): void {
    this.#alive = false;
  }

  /** Stands still for so long, as a stopped process does: its clocks go on, and what fell due happens afterwards. */
  freeze(millis: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#scheduler.now + millis);
  }

  /** Does it now, or when it stands still no longer; not at all when it is dead. */
  whenAwake(task: () => void): void {
    if (!this.#alive) return;
    if (this.#scheduler.now >= this.#frozenUntil) return task();
    this.#scheduler.after(this.#frozenUntil - this.#scheduler.now, () => this.whenAwake(task));
  }

  /** Moves the wall clock, and nothing else. */
  jump(millis: number): void {
    this.#offset += millis;
  }

  monotonic(): number {
    return this.#scheduler.now - this.#started;
  }

  wall(): number {
    return EPOCH + this.#scheduler.now + this.#offset;
  }

  now(): Instant {
    return instant(this.wall());
  }

  after(millis: number, task: () => void): () => void {
    let cancelled = false;
    const due = () => {
      if (!cancelled) task();
    };
    const cancel = this.#scheduler.after(millis, () => this.whenAwake(due));
    return () => {
      cancelled = true;
      cancel();
    };
  }

  schedule(delay: number, task: () => void): () => void {
    return this.after(delay, task);
  }

  /** A promise that resolves after `millis`; never, when the node dies before. */
  pause(millis: number): Promise<void> {
    return new Promise((resolve) => this.after(millis, resolve));
  }
}
