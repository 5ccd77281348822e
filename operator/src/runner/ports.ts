import type { Effect, RunEvent, RunId, RunState } from '../saga/types.ts';

/** Hears what happens to runs: Events, metrics, the controller. Must not throw, and must not wait. */
export interface RunnerObserver {
  /** The runner drives the run from now on. */
  adopted?(id: RunId, how: 'New' | 'TakenOver' | 'Damaged'): void;
  /** After a transition and, where it asked for that, after it was durable. */
  transitioned?(id: RunId, before: RunState, after: RunState, event: RunEvent, effects: readonly Effect[]): void;
  /** The end is durable, and so are the exception records. */
  ended?(id: RunId, state: RunState): void;
  /** The runner no longer drives the run: another writer has it, or its object is gone. The controller looks again. */
  dropped?(id: RunId, why: 'Taken' | 'Gone'): void;
  /** The run was released, abandoned or put to rest: from now on it is not driven here. */
  parted?(id: RunId): void;
  /** A journal write failed and will be tried again. */
  journalFailed?(id: RunId, error: unknown): void;
}
