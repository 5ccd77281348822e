import { type Instant, instant, type Milliseconds } from './units.ts';

/** Stops what it was returned for; calling it twice is harmless. */
export type Cancel = () => void;

/** Where time comes from. The simulation passes a virtual one; nothing in kit or in a domain reads the machine's clock itself. */
export interface Clock {
  now(): Instant;
  /** Runs `run` once, `delay` from now. */
  schedule(delay: Milliseconds, run: () => void): Cancel;
}

/** The machine's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => instant(Date.now()),
  schedule(delay, run) {
    const timer = setTimeout(run, delay);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A clock that moves only when told: for tests and the simulation. */
export class VirtualClock implements Clock {
  #now: number;
  #timers: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  constructor(start: Instant) {
    this.#now = start;
  }

  now(): Instant {
    return instant(this.#now);
  }

  schedule(delay: Milliseconds, run: () => void): Cancel {
    const timer = { at: this.#now + delay, order: this.#order++, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves on by `span`, running what falls due on the way in the order in which it falls due. */
  advance(span: Milliseconds): void {
    const end = this.#now + span;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }
}

/** Runs `task` every `interval`, one at a time, until cancelled. What `task` throws goes to `onError`; the next turn comes all the same. */
export function every(
  clock: Clock,
  interval: Milliseconds,
  task: () => Promise<unknown>,
  onError: (error: unknown) => void,
): Cancel {
  let stopped = false;
  let cancel: Cancel = () => {};
  const turn = () => {
    if (stopped) return;
    task()
      .catch(onError)
      .finally(() => {
        if (!stopped) cancel = clock.schedule(interval, turn);
      });
  };
  cancel = clock.schedule(interval, turn);
  return () => {
    stopped = true;
    cancel();
  };
}
