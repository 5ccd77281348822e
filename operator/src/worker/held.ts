import { sagaKey } from '../controllers/ordersaga/controller.ts';
import { runKey } from '../saga/command.ts';
import type { RunId } from '../saga/types.ts';

/** Of the runs that may be in work, this part may be held and driven all the same; held runs beyond it are put to rest. */
const AWAKE_PART = 20;
/** So many runs at rest count as one in work: of each there is a key here, and what its journal knows of an open run. */
const RESTING_TO_ONE = 10;

/**
 * Which runs wait for a person. They may be many, and wait for days, so that they are not to need the room of those that go on: those that have waited
 * longest are put to rest, which leaves their key here and everything else in the journal, until somebody wants something of them.
 */
export class HeldRuns {
  /** Those that are driven, the one first that came first. */
  readonly #awake = new Map<string, RunId>();
  readonly #awakeBySaga = new Map<string, number>();
  readonly #resting = new Set<string>();
  readonly #mostAwake: number;

  /** @param maxInWork how many runs may be in work */
  constructor(maxInWork: number) {
    this.#mostAwake = Math.floor(maxInWork / AWAKE_PART);
  }

  get size(): number {
    return this.#awake.size + this.#resting.size;
  }

  /** How many of them are at rest. */
  get resting(): number {
    return this.#resting.size;
  }

  /** What those at rest take of the room for runs in work: memory is bounded by it, however many are held. */
  get room(): number {
    return Math.ceil(this.#resting.size / RESTING_TO_ONE);
  }

  /** How many of a saga's are driven. */
  awakeOf(saga: string): number {
    return this.#awakeBySaga.get(saga) ?? 0;
  }

  isResting(id: RunId): boolean {
    return this.#resting.has(runKey(id));
  }

  /** A run that is driven is held, or is not any more; one that was at rest is awake again. @returns whether it became held that was not */
  note(id: RunId, isHeld: boolean): boolean {
    if (!isHeld && this.size === 0) return false;
    const key = runKey(id);
    const wasResting = this.#resting.delete(key);
    if (isHeld === this.#awake.has(key)) return false;
    if (isHeld) this.#awake.set(key, id);
    else this.#awake.delete(key);
    this.#count(id, isHeld ? 1 : -1);
    return isHeld && !wasResting;
  }

  /** Those that are to be put to rest, the one first that came first. */
  surplus(): RunId[] {
    const count = this.#awake.size - this.#mostAwake;
    return count <= 0 ? [] : this.#awake.values().take(count).toArray();
  }

  /** A held run is not driven any more, and waits in the journal. */
  rest(id: RunId): void {
    if (!this.#awake.delete(runKey(id))) return;
    this.#count(id, -1);
    this.#resting.add(runKey(id));
  }

  #count({ namespace, saga }: RunId, change: 1 | -1): void {
    const key = sagaKey(namespace, saga);
    const count = (this.#awakeBySaga.get(key) ?? 0) + change;
    if (count === 0) this.#awakeBySaga.delete(key);
    else this.#awakeBySaga.set(key, count);
  }
}
