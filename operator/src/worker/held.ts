import { sagaKey } from '../controllers/ordersaga/controller.ts';
import { runKey } from '../saga/command.ts';
import type { RunId } from '../saga/types.ts';

/** Which runs wait for a person, by saga. */
export class HeldRuns {
  readonly #bySaga = new Map<string, Set<string>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  countOf(saga: string): number {
    return this.#bySaga.get(saga)?.size ?? 0;
  }

  /** @returns whether a run became held that was not */
  note(id: RunId, isHeld: boolean): boolean {
    if (!isHeld && this.#size === 0) return false;
    const saga = sagaKey(id.namespace, id.saga);
    const held = this.#bySaga.get(saga) ?? new Set();
    const changed = isHeld ? !held.has(runKey(id)) : held.delete(runKey(id));
    if (!changed) return false;
    if (isHeld) this.#bySaga.set(saga, held.add(runKey(id)));
    else if (held.size === 0) this.#bySaga.delete(saga);
    this.#size += isHeld ? 1 : -1;
    return isHeld;
  }
}
