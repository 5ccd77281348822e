import { JournalUnavailable } from '../journal.ts';
import { IncarnationLost } from '../worker-journal.ts';
import { type Call, type Executor, LifeOver, type OperationName, type Operations, type Result } from './operations.ts';

/** When what has gathered is carried out: calls `flush` once, later. */
export type Defer = (flush: () => void) => void;

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
  submit<Name extends OperationName>(name: Name, ...args: Operations[Name]['arguments']): Promise<Result<Name>> {
    return new Promise<Result<Name>>((resolve, reject) => {
      this.#waiting.push({ call: [name, ...args] as unknown as Call, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when nothing waits and nothing is under way. */
  async drain(): Promise<void> {
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
    });
  }

  #flush(): void {
    if (this.#underWay !== undefined || this.#waiting.length === 0) return;
    const group = this.#waiting.splice(0, LARGEST_GROUP);
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

/**
 * Commits at the end of this turn of the event loop, but not sooner than `millis` after the last commit began. What comes alone waits for nobody; what comes
 * in crowds waits for its neighbours, since a commit costs as much as thirty writes.
 */
export function paced(millis: number): Defer {
  let last = Number.NEGATIVE_INFINITY;
  return (flush) => {
    const begin = (): void => {
      last = performance.now();
      flush();
    };
    const wait = last + millis - performance.now();
    if (wait <= 0) setImmediate(begin);
    else setTimeout(begin, wait);
  };
}
