import type { Journal, Version } from '../journals/journal.ts';
import type { Participants } from '../participants/participants.ts';
import type { Clock } from '../runtime/clock.ts';
import { runKey } from '../saga/command.ts';
import { begin, beginAgain, distrust } from '../saga/engine.ts';
import type { Revision, RunContext, RunEvent, RunId, RunState } from '../saga/types.ts';
import type { RunnerObserver } from './ports.ts';
import { Run } from './run.ts';

export interface RunnerPorts {
  readonly journal: Journal;
  readonly participants: Participants;
  readonly clock: Clock;
  readonly observer: RunnerObserver;
  /**
   * Whether this worker may still act for a run; once it may not, it may not until the run is adopted anew. Asked before every write and every
   * command, since a process that was stopped for longer than its lease does what was due before it hears that the lease is lost. @default it may
   */
  readonly mayAct?: (id: RunId) => boolean;
}

/** How a run comes to this worker. */
export interface Adoption {
  readonly context: RunContext;
  readonly revision: Revision;
  readonly version: Version;
  readonly from: /** Nobody has driven it: it was made while this worker, and no other, could have. */
    | { readonly type: 'New' }
    /**
     * The journal holds this state, written by another worker, which `died` or handed it over. Without a state, nobody knows what was done for the
     * run before.
     */
    | { readonly type: 'TakenOver'; readonly state: RunState | undefined; readonly died: boolean }
    /** The journal's checksum does not fit. */
    | { readonly type: 'Damaged'; readonly message: string };
  /** A pause is in force. @default false */
  readonly paused?: boolean;
}

/**
 * Drives runs: the thin part around the engine. It knows no back end; the journal, the participants and the clock are its ports.
 *
 * A run that has ended leaves the runner by itself. A runner that lost its right to write (its lease) is told {@link Runner.abandon}, and does nothing
 * more from that call on.
 */
export class Runner {
  readonly #ports: RunnerPorts;
  readonly #runs = new Map<string, Run>();
  readonly #perSaga = new Map<string, number>();
  /** Runs that another writer took from us: what we had done for them may be ahead of what the journal says, as with a worker that died. */
  readonly #taken = new Set<string>();
  /** Abandoned or released: a reconcile that was under way then may still come to adopt. */
  #closed = false;

  constructor(ports: RunnerPorts) {
    this.#ports = ports;
  }

  /** How many runs it drives. */
  get size(): number {
    return this.#runs.size;
  }

  /**
   * Begins to drive a run; {@link Runner.find} knows it at once. Adopting one that it already drives changes nothing.
   *
   * Resolves when what the run begins with is durable and sent, or the run was given up; that takes as long as its journal is away. Never rejects. Who
   * has many runs to adopt waits for each: claims that were all written at once would come before every other write, so that a worker that lives
   * for a few seconds only would bring none of its runs to an end.
   *
   * Once the runner was abandoned or released, it adopts nothing more.
   */
  adopt({ context, revision, version, from, paused = false }: Adoption): Promise<void> {
    const key = runKey(context.id);
    const driven = this.#runs.get(key);
    if (driven !== undefined) return driven.idle;
    if (this.#closed) return Promise.resolve();
    const lost = this.#taken.delete(key);
    const wall = this.#ports.clock.wall();
    const held = from.type === 'TakenOver' ? from.state : undefined;
    const made = from.type === 'Damaged' ? distrust(revision, context, from.message, { wall, elapsed: 0 }) : undefined;
    const fresh = from.type === 'TakenOver' ? beginAgain : begin;
    const state = { ...(made?.state ?? held ?? fresh(revision, wall)), paused };
    const durable = made === undefined && held !== undefined ? { durable: held } : {};
    const run = new Run(this.#ports, { context, revision, state, version, ...durable }, (why) => {
      this.#runs.delete(key);
      if (why === 'Taken') this.#taken.add(key);
      this.#count(context.id, -1);
      if (why !== 'Ended') this.#ports.observer.dropped?.(context.id, why);
    });
    this.#runs.set(key, run);
    this.#count(context.id, 1);
    this.#ports.observer.adopted?.(context.id, from.type);
    // A run that does nothing because of a pause (or no longer pauses) is to say so.
    if (paused !== (held?.paused ?? false)) run.rewrite();
    if (made !== undefined && from.type === 'Damaged') run.start(made, { type: 'Damaged', message: from.message });
    else run.tell(from.type === 'TakenOver' ? { type: 'TakenOver', died: from.died || lost } : { type: 'Tick' });
    return run.idle;
  }

  /** How many runs of a saga it drives. */
  countOf(namespace: string, saga: string): number {
    return this.#perSaga.get(`${namespace}/${saga}`) ?? 0;
  }

  /** Tells a run something. @returns false when the runner does not drive it. */
  tell(id: RunId, event: RunEvent): boolean {
    const run = this.#runs.get(runKey(id));
    run?.tell(event);
    return run !== undefined;
  }

  /** A pause of a saga begins or ends, for all its runs: also for those that seem to know, since what they were told last may still wait for a write. */
  pause(namespace: string, saga: string, paused: boolean): void {
    const prefix = `${namespace}/${saga}/`;
    for (const [key, run] of this.#runs) if (key.startsWith(prefix)) run.tell({ type: paused ? 'Paused' : 'Resumed' });
  }

  /** The run as it is in memory, ahead of the journal by a second at most. */
  find(id: RunId): Pick<Run, 'state' | 'durable' | 'version' | 'revision' | 'traceparent'> | undefined {
    return this.#runs.get(runKey(id));
  }

  /** The object has a newer version whose journal part is unchanged. */
  newVersion(id: RunId, version: Version): void {
    this.#runs.get(runKey(id))?.newVersion(version);
  }

  /** The object lost what the journal had written of it: it is written again within a second. */
  rewrite(id: RunId): void {
    this.#runs.get(runKey(id))?.rewrite();
  }

  /** Stops at once: nothing more is sent or written. For a lost lease. @param which runs. @default all, and no run is adopted any more */
  abandon(which?: (id: RunId) => boolean): void {
    if (which === undefined) this.#closed = true;
    for (const run of this.#chosen(which)) {
      run.abandon();
      this.#part(run);
    }
  }

  /**
   * Stops in good order: what is known is made durable first. None of these runs may be brought to the runner meanwhile.
   * @param which runs. @default all, and no run is adopted any more
   * @returns whether all that was known is durable; not so where the right to write was lost before
   */
  async release(which?: (id: RunId) => boolean): Promise<boolean> {
    if (which === undefined) this.#closed = true;
    const released = await Promise.all(
      this.#chosen(which).map(async (run) => {
        const isDurable = await run.release();
        this.#part(run);
        return isDurable;
      }),
    );
    return released.every(Boolean);
  }

  /**
   * Lets go of a held run that does nothing and of which everything is durable, so that it takes no memory; it can be adopted again.
   * @returns false, and changes nothing, where something is under way
   */
  rest(id: RunId): boolean {
    const run = this.#runs.get(runKey(id));
    if (run === undefined || !run.isQuiet) return false;
    run.abandon();
    this.#part(run);
    return true;
  }

  #chosen(which: (id: RunId) => boolean = () => true): Run[] {
    return [...this.#runs.values()].filter((run) => which(run.id));
  }

  /** A run that has ended meanwhile has left already. */
  #part(run: Run): void {
    const key = runKey(run.id);
    if (this.#runs.get(key) !== run) return;
    this.#runs.delete(key);
    this.#count(run.id, -1);
    this.#ports.observer.parted?.(run.id);
  }

  #count({ namespace, saga }: RunId, change: 1 | -1): void {
    const key = `${namespace}/${saga}`;
    const count = (this.#perSaga.get(key) ?? 0) + change;
    if (count === 0) this.#perSaga.delete(key);
    else this.#perSaga.set(key, count);
  }
}
