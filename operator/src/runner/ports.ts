import type { Effect, RunEvent, RunId, RunState } from '../saga/types.ts';

/** Time as a runner needs it; a virtual one drives the tests and the simulation. */
export interface RunnerClock {
  /** Milliseconds of a clock that only goes forward. */
  monotonic(): number;
  /** Milliseconds since the Unix epoch, for display. */
  wall(): number;
  /** Calls back once after `millis`. @returns what cancels it. */
  setTimer(callback: () => void, millis: number): () => void;
}

/** The clock of this machine. */
export const systemClock: RunnerClock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  setTimer(callback, millis) {
    // setTimeout fires at once for what does not fit 31 bits.
    const timer = setTimeout(callback, Math.min(Math.ceil(millis), 0x7fff_ffff));
    return () => clearTimeout(timer);
  },
};

/** Hears what happens to runs: Events, metrics, the controller. Must not throw, and must not wait. */
export interface RunnerObserver {
  /** After a transition and, where it asked for that, after it was durable. */
  transitioned?(id: RunId, before: RunState, after: RunState, event: RunEvent, effects: readonly Effect[]): void;
  /** The end is durable, and so are the exception records. */
  ended?(id: RunId, state: RunState): void;
  /** The runner no longer drives the run: another writer has it, or its object is gone. The controller looks again. */
  dropped?(id: RunId, why: 'Taken' | 'Gone'): void;
  /** A journal write failed and will be tried again. */
  journalFailed?(id: RunId, error: unknown): void;
}
