/**
 * What the journal asks of its file. An operation is a name and plain values, so that a group of them crosses to the worker thread as one message; all
 * JSON is text by then. Each is all or nothing by itself: it looks before it writes, so none of them needs a savepoint.
 */
export interface Operations {
  /** A new life begins; what it finds. Its own group, sent without a life. */
  open: Operation<[], Standing & { readonly life: number }>;
  /** What is in the file: after a commit of which nobody knows what came of it. */
  recall: Operation<[], Standing>;
  /** Nothing but the check that every group makes: that this life is the file's last. */
  live: Operation<[], true>;
  /** A new run. The caller knows that none of this key is open. @returns its number, or how the order's run ended */
  create: Operation<
    [key: string, run: string, runCrc: number, traceparent: string | null],
    number | { readonly ended: string }
  >;
  /** @returns whether the run was at this version, and is at the next now */
  write: Operation<[n: number, version: number, state: string, crc: number], boolean>;
  /** A write that has to do with attention or has something to announce. */
  writeNoted: Operation<
    [
      n: number,
      version: number,
      state: string,
      crc: number,
      held: boolean,
      since: number | null,
      told: number,
      news: string | null,
    ],
    boolean
  >;
  /** The last write of a run; what it gave up is on record with it, since nobody looks at it again. */
  end: Operation<
    [
      n: number,
      version: number,
      state: string,
      crc: number,
      outcome: string,
      at: number,
      expires: number,
      news: string | null,
      givenUp: readonly string[],
    ],
    boolean
  >;
  /** These open runs are this life's now, each at its next version. */
  claim: Operation<[ns: readonly number[]], readonly Row[]>;
  /** An open run, or one that ended and is kept. */
  find: Operation<[key: string, n: number | null], Row | undefined>;
  /** How the order's run ended, as long as it is remembered. */
  outcome: Operation<[key: string], string | undefined>;
  attention: Operation<[limit: number], readonly Row[]>;
  post: Operation<[n: number, kind: string, mail: string], boolean>;
  mail: Operation<[], { readonly mine: readonly MailRow[]; readonly total: number }>;
  settle: Operation<[receipts: readonly number[]], true>;
  news: Operation<[limit: number], readonly NewsRow[]>;
  announced: Operation<[receipts: readonly number[]], true>;
  saveRevision: Operation<[saga: string, hash: string, revision: string], true>;
  loadRevision: Operation<[saga: string, hash: string], string | undefined>;
  record: Operation<[key: string, entry: string, at: number], true>;
  exceptions: Operation<[key: string], readonly string[]>;
  handOver: Operation<[], true>;
  /** Forgets at most `limit` runs of each kind. @returns whether there may be more */
  prune: Operation<[now: number, endedBefore: number, limit: number], boolean>;
}

interface Operation<Arguments extends readonly unknown[], Result> {
  readonly arguments: Arguments;
  readonly result: Result;
}

export type OperationName = keyof Operations;
export type Call = {
  readonly [K in OperationName]: readonly [K, ...Operations[K]['arguments']];
}[OperationName];
export type Result<Name extends OperationName> = Operations[Name]['result'];

/** These change nothing. */
export const READS: ReadonlySet<OperationName> = new Set<OperationName>([
  'recall',
  'live',
  'find',
  'outcome',
  'attention',
  'mail',
  'news',
  'loadRevision',
  'exceptions',
]);

/** A run as its row holds it. */
export interface Row {
  readonly n: number;
  readonly key: string;
  readonly version: number;
  readonly run: string;
  readonly run_crc: number;
  readonly traceparent: string | null;
  readonly format: number | null;
  readonly state: string | null;
  readonly crc: number | null;
}

export interface MailRow {
  readonly id: number;
  readonly key: string;
  readonly mail: string;
}

export interface NewsRow {
  readonly id: number;
  readonly news: string;
}

/** What a journal knows of an open run without asking: enough to find it, to count it, and to tell what is news of it. */
export interface OpenRow {
  readonly n: number;
  readonly key: string;
  readonly life: number;
  readonly since: number | null;
  readonly held: number;
  readonly told: number;
  readonly traceparent: string | null;
}

export interface Standing {
  readonly open: readonly OpenRow[];
  /** Lives that handed over in good order. */
  readonly handedOver: readonly number[];
  readonly news: number;
  readonly mail: number;
}

/** Where groups of operations are carried out: in a thread, or in place. */
export interface Executor {
  /**
   * Carries the calls out in one transaction, in order, if `life` is the file's last. One group at a time.
   * @returns their results, once they are on disk
   * @throws CommitFailed when nothing of the group may be believed to have happened or not @throws LifeOver
   */
  execute(life: number | undefined, group: readonly Call[]): Promise<readonly unknown[]>;
  close(): Promise<void>;
}

/** The disk failed, is full, or the thread died: the group as a whole may or may not be in the file. */
export class CommitFailed extends Error {
  override readonly name = 'CommitFailed';
}

/** Another life has begun with the file. */
export class LifeOver extends Error {
  override readonly name = 'LifeOver';
}
