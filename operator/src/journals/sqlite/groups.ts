import { JournalUnavailable } from '../journal.ts';
import { IncarnationLost } from '../worker-journal.ts';
import { type Call, type Executor, LifeOver, type OperationName, type Operations, type Result } from './operations.ts';

/** When what has gathered is carried out: calls `flush` once, later. `last` is how many operations the last group had. */
export type Defer = (flush: () => void, last: number) => void;

/** Operations in one commit at most: more would keep those that wait too long. */
const LARGEST_GROUP = 1_000;

interface Waiting {
  readonly call: Call;
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Carries out many operations as one: all that gather in a turn of the event loop, or while a group is under way, share a message, a transaction
 * and a sync of the disk. Groups go one after the other; an operation resolves after its group is on disk.
 */
export class Groups {
  readonly #executor: Executor;
  readonly #defer: Defer;
  readonly #failed: () => void;
  #waiting: Waiting[] = [];
  #isScheduled = false;
  #last = 0;
  #isClosed = false;
  #underWay: Promise<void> | undefined;
  /** The life in whose name groups are sent. */
  life: number | undefined;

  /** @param failed hears, before the operations do, that a group failed: nobody knows now whether it is in the file */
  constructor(executor: Executor, defer: Defer, failed: () => void) {
    this.#executor = executor;
    this.#defer = defer;
    this.#failed = failed;
  }

  /** @throws JournalUnavailable when the group failed @throws IncarnationLost */
  submit<Name extends OperationName>(...call: [Name, ...Operations[Name]['arguments']]): Promise<Result<Name>> {
    if (this.#isClosed) return Promise.reject(new JournalUnavailable('the journal is closed'));
    return new Promise<Result<Name>>((resolve, reject) => {
      this.#waiting.push({ call: call as unknown as Call, resolve, reject });
      this.#schedule();
    });
  }

  /** Carries out what waits, and takes nothing more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#waiting.length > 0 || this.#underWay !== undefined) {
      this.#flush();
      await this.#underWay;
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#underWay !== undefined) return;
    this.#isScheduled = true;
    this.#defer(() => {
      this.#isScheduled = false;
      this.#flush();
    }, this.#last);
  }

  #flush(): void {
    if (this.#underWay !== undefined || this.#waiting.length === 0) return;
    const group = this.#waiting.splice(0, LARGEST_GROUP);
    this.#last = group.length;
    this.#underWay = this.#carryOut(group).then(() => {
      this.#underWay = undefined;
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  async #carryOut(group: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#executor.execute(
        this.life,
        group.map(({ call }) => call),
      );
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as never);
    } catch (error) {
      const reason = rejection(error);
      if (reason instanceof JournalUnavailable) this.#failed();
      // What waits was asked for on the strength of a memory that is no longer believed.
      for (const { reject } of [...group, ...this.#waiting.splice(0)]) reject(reason);
    }
  }
}

function rejection(error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof LifeOver) return new IncarnationLost(message, { cause: error });
  return new JournalUnavailable(`the journal could not commit: ${message}`, { cause: error });
}

/** A last group of this many says that there is a crowd; and of this many, that groups are large enough without waiting. */
const CROWD = 4;
const THRONG = 200;

/**
 * Commits at the end of this turn of the event loop; in a crowd not sooner than `millis` after the last commit began. A commit costs as much as thirty
 * writes, so that in a crowd it is worth waiting for neighbours; what comes alone waits for nobody.
 */
export function paced(millis: number): Defer {
  let began = Number.NEGATIVE_INFINITY;
  return (flush, last) => {
    const begin = (): void => {
      began = performance.now();
      flush();
    };
    const wait = last < CROWD || last >= THRONG ? 0 : began + millis - performance.now();
    if (wait <= 0) setImmediate(begin);
    else setTimeout(begin, wait);
  };
}
