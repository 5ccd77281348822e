import type { VirtualClock } from '../../runtime/clock.ts';
import { runKey } from '../../saga/command.ts';
import type { GivenUp, RunId } from '../../saga/types.ts';
import type { Fault } from '../../testing/memory-journal.ts';
import type { Journal, JournalRecord, Version } from '../journal.ts';
import type { NewRun, WorkerJournal } from '../worker-journal.ts';

/** How a worker leaves: it `died`, and may go on as a zombie that does not know, or it handed over in good order. */
export type Leaving = 'died' | 'handedOver';

/** How the conformance suite gets at a journal. */
export interface JournalHarness<J extends Journal> {
  /** What the journal is called in the titles of its tests. */
  readonly name: string;
  /** Once before all tests, for what is slow (a server), and after them. */
  before?(): Promise<void>;
  after?(): Promise<void>;
  /** An empty place for one test. Wall and monotonic time of everything in it are `clock`'s. */
  place(clock: VirtualClock): Promise<JournalPlace<J>>;
}

/** The truth behind the journals of one test, and what a test does to it. */
export interface JournalPlace<J extends Journal> {
  /** Where the test's runs are. */
  readonly namespace: string;
  /** A worker begins its life, as another process would: with a journal of its own, opened, that knows nothing but what is stored. */
  start(): Promise<J>;
  /**
   * `last` is gone, as far as the journal can know, and another worker begins its life. A `last` that died is left as it is: the test goes on with
   * it as with a zombie. Time may pass.
   */
  succeed(last: J, leaving: Leaving): Promise<J>;
  /** Puts a run on record, to be driven by this worker. Its revision was saved. */
  begin(worker: J, run: NewRun): Promise<Version>;
  /** A worker that has just begun its life makes a run its own that a predecessor left. */
  claim(worker: J, id: RunId): Promise<JournalRecord>;
  /** What is durable of a run, read past every worker and cache. */
  peek(id: RunId): Promise<JournalRecord | undefined>;
  /** Somebody changes what is stored of a run, of which a state was written, without knowing how: another state, the old checksum. */
  damage(id: RunId): Promise<void>;
  /** What is stored of a run, of which a state was written, says that it has a format that is not invented yet. */
  renew(id: RunId): Promise<void>;
  /** The next call of this worker that writes (a run, a record, mail) fails so, and rejects with JournalUnavailable. */
  fail(worker: J, fault: Fault): void;
  /** The exception records of a run. */
  exceptions(id: RunId): Promise<readonly GivenUp[]>;
  /** Ends the workers and lets go of the place. */
  close(): Promise<void>;
}

/** `begin` and `claim` of a journal that has workers of its own, for its {@link JournalPlace}. */
export const byWorkers = {
  async begin(worker: WorkerJournal, run: NewRun): Promise<Version> {
    const created = await worker.create(run);
    if (created.type !== 'Created') throw new Error(`${runKey(run.id)} should be created, and is ${created.type}`);
    return created.version;
  },

  async claim(worker: WorkerJournal, id: RunId): Promise<JournalRecord> {
    const mine = claimedBy.get(worker) ?? new Map<string, JournalRecord>();
    claimedBy.set(worker, mine);
    for (let tries = 0; tries < CLAIM_TRIES && !mine.has(runKey(id)); tries++) {
      for (const { run, record } of await worker.claim(CLAIMED_AT_ONCE)) mine.set(runKey(run.id), record);
    }
    const found = mine.get(runKey(id));
    if (found === undefined) throw new Error(`${runKey(id)} was left by nobody`);
    return found;
  },
};

/** A claim gives what there is, and only once. */
const claimedBy = new WeakMap<WorkerJournal, Map<string, JournalRecord>>();
/** An index may be late; each try is a question to the journal. */
const CLAIM_TRIES = 100;
const CLAIMED_AT_ONCE = 1_000;
