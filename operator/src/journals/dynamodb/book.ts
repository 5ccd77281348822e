import { runKey } from '../../saga/command.ts';
import type { RunId, WallMillis } from '../../saga/types.ts';
import type { Announcement, NewRun } from '../worker-journal.ts';
import type { Ticket } from './ledger.ts';

/** Open runs by `namespace/saga`, the held ones apart. */
export type Counts = ReadonlyMap<string, { readonly active: number; readonly held: number }>;

/** What this life knows of a run of its own, beside its state. */
export interface OwnStanding {
  readonly held: boolean;
  /** Since when it needs a person; undefined while it does not. */
  readonly since: WallMillis | undefined;
  /** The sequence of its last announcement; 0 before the first. */
  readonly announced: number;
}

/** What a write brings, once it has happened. */
export interface Outlook {
  /** The checksum of what is written. */
  readonly sum: string;
  readonly ended: boolean;
  readonly standing: OwnStanding;
  /** What it announces, with the ticket that was written with it. */
  readonly telling: { readonly ticket: Ticket; readonly announcement: Announcement } | undefined;
}

export interface OwnRun extends OwnStanding {
  readonly run: NewRun;
  /** Writes of the same version that were not answered: at most one of them has happened. */
  readonly attempts: readonly Outlook[];
}

/** The open runs that this life drives. In memory: `counts` costs nothing, and each write knows what the one before left. */
export class Book {
  readonly #runs = new Map<string, OwnRun>();
  readonly #counts = new Map<string, { active: number; held: number }>();
  readonly #inDoubt = new Map<string, RunId>();

  find(id: RunId): OwnRun | undefined {
    return this.#runs.get(runKey(id));
  }

  /** Enters a run, or what is newly known of it. */
  enter(run: OwnRun): void {
    this.remove(run.run.id);
    this.#runs.set(runKey(run.run.id), run);
    if (run.attempts.some(({ telling }) => telling !== undefined)) this.#inDoubt.set(runKey(run.run.id), run.run.id);
    this.#count(run, 1);
  }

  /** The run has ended, or is another's. */
  remove(id: RunId): void {
    const run = this.#runs.get(runKey(id));
    if (run === undefined) return;
    this.#runs.delete(runKey(id));
    this.#inDoubt.delete(runKey(id));
    this.#count(run, -1);
  }

  /** Runs with an announcement of which it is not known whether it was written. */
  get inDoubt(): RunId[] {
    return [...this.#inDoubt.values()];
  }

  get counts(): Counts {
    return new Map(this.#counts);
  }

  #count({ run, held }: OwnRun, change: 1 | -1): void {
    const key = `${run.id.namespace}/${run.id.saga}`;
    const { active, held: were } = this.#counts.get(key) ?? { active: 0, held: 0 };
    const next = { active: active + (held ? 0 : change), held: were + (held ? change : 0) };
    if (next.active + next.held === 0) this.#counts.delete(key);
    else this.#counts.set(key, next);
  }
}
