import type { RunId, RunInput, RunState, WallMillis } from '../saga/types.ts';
import type { Journal, JournalRecord, Version } from './journal.ts';

/** A run that is to begin. */
export interface NewRun {
  readonly id: RunId;
  readonly input: RunInput;
  /** The hash of a revision that the journal has (`saveRevision`). */
  readonly revision: string;
  /** When it was taken in. */
  readonly createdAt: WallMillis;
  /** W3C Trace Context of the request that it came from. */
  readonly traceparent?: string;
}

export type Outcome = 'Succeeded' | 'Compensated' | 'Aborted';

/** What came of asking for a run. Only `Created` makes it this worker's. */
export type Creation =
  | { readonly type: 'Created'; readonly version: Version }
  /** A run of that order is open, whoever drives it. */
  | { readonly type: 'Open' }
  /** The order has had its run. */
  | { readonly type: 'Ended'; readonly outcome: Outcome };

/** A run that this worker took over. */
export interface ClaimedRun {
  readonly run: NewRun;
  /** Its version is that of the claim: the next write depends on it. */
  readonly record: JournalRecord;
  /** Whoever drove it did not hand it over: what it did may be ahead of the record (design rule 3). */
  readonly died: boolean;
}

/** What a person or another program wants of a run. */
export type Mail =
  | {
      readonly type: 'Decision';
      readonly decision: {
        readonly holdId: string;
        readonly do: 'Retry' | 'Skip' | 'Compensate' | 'Abort';
        readonly step?: string;
        readonly outputs?: Readonly<Record<string, unknown>>;
        readonly reason: string;
        readonly by: string;
      };
    }
  | { readonly type: 'Cancel'; readonly reason: string };

export interface ReceivedMail {
  readonly id: RunId;
  readonly mail: Mail;
  /** For {@link WorkerJournal.settleMail}. */
  readonly receipt: string;
}

/** A run as it stands in the journal, for people. */
export interface RunSight {
  readonly run: NewRun;
  readonly record: JournalRecord;
}

/**
 * What the world outside is told of a run. `sequence` rises with each of a run's announcements and follows from its state alone, so that the same
 * announcement made twice is known as one.
 */
export interface Announcement {
  readonly id: RunId;
  readonly sequence: number;
  /** `refused` is no state of a run: intake will not begin one (intake/refused.ts). Its sequence is 0, below all that a run says. */
  readonly type: 'held' | 'resumed' | 'succeeded' | 'compensated' | 'aborted' | 'refused';
  readonly at: WallMillis;
  /** Why, where there is a reason: of the hold, of the compensation, of the refusal. */
  readonly reason?: string;
  readonly message?: string;
  readonly step?: string;
  readonly traceparent?: string;
}

export interface WrittenAnnouncement {
  readonly announcement: Announcement;
  /** For {@link WorkerJournal.announced}. */
  readonly receipt: string;
}

/**
 * A journal that holds everything of a run, so that workers can begin, find and end runs without Kubernetes: sqlite for one worker, dynamodb for many.
 *
 * Every method may reject with JournalUnavailable (whether a write happened is not known) and, once this worker was declared dead, with
 * {@link IncarnationLost}: it must then stop at once (`Runner.abandon`), since its runs are another's. A write of a run that another worker has since
 * taken is refused with VersionConflict, whatever the version: each is conditional on version and incarnation (design rule 10).
 */
export interface WorkerJournal extends Journal {
  /** Begins a life as a writer, and is called once, before anything else. Names this life; for logs and Lease-like displays. */
  open(): Promise<string>;
  /** Puts a run on record, to be driven by this worker. Resolves once that is durable. Repeating it is harmless. */
  create(run: NewRun): Promise<Creation>;
  /**
   * Open runs that nobody alive drives, at most `limit` of them; from now on they are this worker's. After `open` these are what a predecessor left. Empty
   * when there are none now; ask again from time to time.
   */
  claim(limit: number): Promise<readonly ClaimedRun[]>;
  /** Says that this worker lives; to be called every few seconds. @returns how many workers live, this one included */
  beat(): Promise<number>;
  /** Ends this life in good order: others may take its runs at once, and need not doubt them. The runner has been released before. */
  handOver(): Promise<void>;
  /**
   * Leaves something for whoever drives the run. Resolves once that is durable. A later decision replaces an earlier one and a later cancel an earlier
   * cancel; neither replaces the other, since both are to be acknowledged.
   */
  post(id: RunId, mail: Mail): Promise<'Posted' | 'NotFound' | 'Ended'>;
  /** What was left for runs of this worker and is not settled, oldest first. */
  mail(): Promise<readonly ReceivedMail[]>;
  /** Takes mail away: the run's durable state shows what came of it. */
  settleMail(receipts: readonly string[]): Promise<void>;
  /** One run, also one that has ended and is kept. */
  look(id: RunId): Promise<RunSight | undefined>;
  /** Open runs that are held or overdue, the longest first, at most `limit` of them, and how many there are. */
  attention(limit: number): Promise<{ readonly runs: readonly RunSight[]; readonly total: number }>;
  /** Open runs by saga (`namespace/saga`): those that are held, and the others, which are active. What it costs must not grow with the number of runs. */
  counts(): Promise<ReadonlyMap<string, { readonly active: number; readonly held: number }>>;
  /**
   * What was written and may not have been announced yet, oldest first: by this worker, or by those that it took over from. An announcement is
   * written in one transaction with the state that it tells of.
   */
  unannounced(limit: number): Promise<readonly WrittenAnnouncement[]>;
  /** These were told. */
  announced(receipts: readonly string[]): Promise<void>;
  /** Forgets what is kept for no longer. @returns whether there may be more */
  prune(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * How long an order is known to have had its run, unless `--remember-orders` says otherwise: longer than any redelivery (design rule 1). What comes later would
 * run, and be paid for, a second time; hence intake refuses what is older. Milliseconds.
 */
export const REMEMBERED_MILLIS = 35 * 86_400_000;

/** How long things are kept. */
export interface Retention {
  /** How long an ended run can be looked at (`ttlAfterFinished`). Milliseconds. */
  readonly ended: (id: Pick<RunId, 'namespace' | 'saga'>, outcome: Outcome) => number;
  /** How long an order is known to have had its run. Milliseconds. @default {@link REMEMBERED_MILLIS} */
  readonly remembered?: number;
}

/** This worker was declared dead, by its own silence; its runs are or will be another worker's. */
export class IncarnationLost extends Error {
  override readonly name = 'IncarnationLost';
}

/**
 * What a state is announced as; undefined before there is anything to tell. Holds and ends only: progress is nobody's business.
 *
 * The sequence is 2n-1 for the n-th hold, 2n for the going on after it, 2n+1 for the end after n holds: it follows from the state alone.
 */
export function announcementOf(
  id: RunId,
  state: RunState,
  at: WallMillis,
  traceparent?: string,
): Announcement | undefined {
  const told = announced(state);
  if (told === undefined) return undefined;
  return { id, at, ...told, ...(traceparent === undefined ? {} : { traceparent }) };
}

function announced(state: RunState): Omit<Announcement, 'id' | 'at' | 'traceparent'> | undefined {
  const { hold, holds, cause, ended } = state;
  if (ended !== undefined) {
    const why = cause === undefined ? {} : { reason: cause.reason, message: cause.message };
    const step = cause?.step === undefined ? {} : { step: cause.step };
    return { sequence: 2 * holds + 1, type: ended.toLowerCase() as Lowercase<Outcome>, ...why, ...step };
  }
  if (hold !== undefined) {
    const step = hold.step === undefined ? {} : { step: hold.step };
    return { sequence: 2 * holds - 1, type: 'held', reason: hold.reason, message: hold.message, ...step };
  }
  return holds === 0 ? undefined : { sequence: 2 * holds, type: 'resumed' };
}
