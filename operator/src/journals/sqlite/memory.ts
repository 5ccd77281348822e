import type { OpenRow, Standing } from './operations.ts';

/** An open run, as far as it is known without asking the file. */
export interface OpenRun {
  readonly n: number;
  readonly saga: string;
  held: boolean;
  /** Since when a person should look. Unix milliseconds. */
  since: number | undefined;
  /** The sequence of its last announcement. */
  told: number;
  readonly traceparent: string | undefined;
}

export interface SagaCount {
  active: number;
  held: number;
}

/**
 * What the journal knows without asking: which runs are open, how many, whose nobody is. It follows from the file and from what was written to it since;
 * when nobody knows what came of a write, it is made anew from the file.
 */
export class Memory {
  readonly open = new Map<string, OpenRun>();
  /** Open runs that no living worker drives, and whether the one that did died. */
  readonly unclaimed = new Map<string, boolean>();
  /** By `namespace/saga`. */
  readonly counts = new Map<string, SagaCount>();
  /** Open runs that are held or overdue. */
  attention = 0;
  /** There may be something to announce. */
  hasNews: boolean;
  hasMail: boolean;

  /** @param doubtful runs of this life that it does not drive, since it never heard that they are its own; and whether their last worker died */
  constructor(standing: Standing, life: number, doubtful: ReadonlyMap<string, boolean>) {
    this.hasNews = standing.news > 0;
    this.hasMail = standing.mail > 0;
    const handedOver = new Set(standing.handedOver);
    for (const row of standing.open) {
      this.add(row.key, fromRow(row));
      if (row.life !== life) this.unclaimed.set(row.key, !handedOver.has(row.life));
      else if (doubtful.has(row.key)) this.unclaimed.set(row.key, doubtful.get(row.key) as boolean);
    }
  }

  add(key: string, run: OpenRun): void {
    this.open.set(key, run);
    this.#count(run, 1);
  }

  /** What the last write says of the run. */
  note(run: OpenRun, { held, since, told }: Pick<OpenRun, 'held' | 'since' | 'told'>): void {
    this.#count(run, -1);
    Object.assign(run, { held, since, told });
    this.#count(run, 1);
  }

  remove(key: string, run: OpenRun): void {
    this.#count(run, -1);
    this.open.delete(key);
  }

  #count({ saga, held, since }: OpenRun, change: 1 | -1): void {
    const count = this.counts.get(saga) ?? { active: 0, held: 0 };
    this.counts.set(saga, count);
    if (held) count.held += change;
    else count.active += change;
    if (since !== undefined) this.attention += change;
    if (count.active + count.held === 0) this.counts.delete(saga);
  }
}

function fromRow({ n, key, held, since, told, traceparent }: OpenRow): OpenRun {
  return {
    n,
    saga: sagaOf(key),
    held: held === 1,
    since: since ?? undefined,
    told,
    traceparent: traceparent ?? undefined,
  };
}

/** `namespace/saga` of a run's key. */
export function sagaOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'));
}
