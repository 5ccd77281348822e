import { REVISIONS_KEPT, Recent } from '../../runtime/recent.ts';
import { canonicalJson } from '../../saga/canonical.ts';
import { runKey } from '../../saga/command.ts';
import { revisionOf } from '../../saga/revision.ts';
import type { GivenUp, Revision, RunId, RunState } from '../../saga/types.ts';
import { type JournalRecord, JournalUnavailable, type Version, VersionConflict } from '../journal.ts';
import {
  type Announcement,
  announcementOf,
  type ClaimedRun,
  type Creation,
  type Mail,
  type NewRun,
  type Outcome,
  REMEMBERED_MILLIS,
  type ReceivedMail,
  type Retention,
  type RunSight,
  type WorkerJournal,
  type WrittenAnnouncement,
} from '../worker-journal.ts';
import { checksum, FORMAT, idOf, pack, packRun, readRow } from './codec.ts';
import { type Defer, Groups, paced } from './groups.ts';
import { FileLock } from './lock.ts';
import { Memory, type OpenRun, type SagaCount, sagaOf } from './memory.ts';
import type { Executor } from './operations.ts';
import { Threaded } from './threaded.ts';

/** Runs forgotten in one group: some milliseconds of work. */
const PRUNED_AT_ONCE = 200;
/** In a crowd: 20 ms cost an order some 60 ms of its 2 s, and save a third of the journal's CPU time against 5 ms. */
const COMMIT_EVERY_MILLIS = 20;

export interface SqliteJournalOptions {
  /** Where groups of operations are carried out. */
  readonly executor: Executor;
  /** When what has gathered is committed. @default at the end of the turn; in a crowd every 20 ms */
  readonly defer?: Defer;
  /** Keeps other processes away. @default nobody is */
  readonly lock?: Pick<FileLock, 'take' | 'release'>;
  /** Unix milliseconds. @default the machine's */
  readonly wall?: () => number;
  /** An ended run is looked at no longer than it is remembered. */
  readonly retention: Retention;
}

/** The sqlite journal of an operator: the file at `path`, in a thread, locked against other processes. */
export function sqliteJournal(path: string, options: Pick<SqliteJournalOptions, 'retention' | 'wall'>): SqliteJournal {
  return new SqliteJournal({ ...options, executor: new Threaded(path), lock: new FileLock(path) });
}

/**
 * A journal in one SQLite file, for one worker (docs/adr/worker-journals.md). What is asked of it in one turn of the event loop is one transaction, and
 * resolves when that is on disk. Where a commit fails, everything in it rejects with JournalUnavailable, and what is known in memory is read anew
 * from the file before anything else is done.
 */
export class SqliteJournal implements WorkerJournal {
  readonly #options: SqliteJournalOptions;
  readonly #wall: () => number;
  readonly #groups: Groups;
  readonly #revisions = new Recent<string, Revision>(REVISIONS_KEPT);
  readonly #creating = new Map<string, Promise<Creation>>();
  /** Runs that may have become this life's without anyone hearing of it, and whether their last worker died. */
  readonly #doubtful = new Map<string, boolean>();
  #memory: Memory | undefined;
  #recalling: Promise<Memory> | undefined;

  constructor(options: SqliteJournalOptions) {
    this.#options = options;
    this.#wall = options.wall ?? Date.now;
    this.#groups = new Groups(options.executor, options.defer ?? paced(COMMIT_EVERY_MILLIS), () => {
      this.#memory = undefined;
    });
  }

  async open(): Promise<string> {
    const { lock } = this.#options;
    lock?.take();
    try {
      const { life, ...standing } = await this.#groups.submit('open');
      this.#groups.life = life;
      this.#memory = new Memory(standing, life, this.#doubtful);
      return `sqlite-${life}`;
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  async read(id: RunId): Promise<JournalRecord | undefined> {
    return (await this.look(id))?.record;
  }

  async look(id: RunId): Promise<RunSight | undefined> {
    const memory = this.#memory ?? (await this.#recall());
    const key = runKey(id);
    const row = await this.#groups.submit('find', key, memory.open.get(key)?.n ?? null);
    return row === undefined ? undefined : readRow(row);
  }

  async create(run: NewRun): Promise<Creation> {
    const key = runKey(run.id);
    // One after the other: whether the run is open is known when the first was answered.
    for (let other = this.#creating.get(key); other !== undefined; other = this.#creating.get(key)) {
      await other.catch(() => undefined);
    }
    const creation = this.#create(key, run);
    this.#creating.set(key, creation);
    try {
      return await creation;
    } finally {
      this.#creating.delete(key);
    }
  }

  async #create(key: string, run: NewRun): Promise<Creation> {
    const memory = this.#memory ?? (await this.#recall());
    if (memory.open.has(key)) return { type: 'Open' };
    const text = packRun(run);
    const { traceparent } = run;
    this.#doubtful.set(key, false);
    const made = await this.#groups.submit('create', key, text, checksum(key, FORMAT, text), traceparent ?? null);
    this.#doubtful.delete(key);
    if (typeof made !== 'number') return { type: 'Ended', outcome: made.ended as Outcome };
    memory.add(key, { n: made, saga: sagaOf(key), held: false, since: undefined, told: 0, traceparent });
    return { type: 'Created', version: '1' };
  }

  async write(id: RunId, state: RunState, version: Version): Promise<Version> {
    const memory = this.#memory ?? (await this.#recall());
    const key = runKey(id);
    const run = memory.open.get(key);
    const written = run !== undefined && (await this.#write(memory, { id, key, run, state, version: Number(version) }));
    if (!written) throw new VersionConflict(`${key} is not open at version ${version}`);
    return String(Number(version) + 1);
  }

  async #write(memory: Memory, { id, key, run, state, version }: Writing): Promise<boolean> {
    const now = this.#wall();
    const text = pack(state);
    const crc = checksum(key, FORMAT, text);
    const announcement = news(run, id, state, now);
    const message = announcement === undefined ? null : JSON.stringify(announcement);
    const told = announcement?.sequence ?? run.told;
    if (state.ended !== undefined) {
      const expires = now + Math.min(this.#options.retention.ended(id, state.ended), this.#remembered);
      const givenUp = state.givenUp.map((entry) => canonicalJson(entry));
      const ended = await this.#groups.submit(
        'end',
        run.n,
        version,
        text,
        crc,
        state.ended,
        now,
        expires,
        message,
        givenUp,
      );
      if (ended) memory.remove(key, run);
      if (ended && message !== null) memory.hasNews = true;
      return ended;
    }
    const held = state.hold !== undefined;
    const since = needsAttentionSince(run, state, now);
    if (since === run.since && held === run.held && message === null)
      return this.#groups.submit('write', run.n, version, text, crc);
    const written = await this.#groups.submit(
      'writeNoted',
      run.n,
      version,
      text,
      crc,
      held,
      since ?? null,
      told,
      message,
    );
    if (written) memory.note(run, { held, since, told });
    if (written && message !== null) memory.hasNews = true;
    return written;
  }

  async claim(limit: number): Promise<readonly ClaimedRun[]> {
    const memory = this.#memory ?? (await this.#recall());
    const taken = [...memory.unclaimed].slice(0, limit);
    if (taken.length === 0) return [];
    for (const [key, died] of taken) {
      memory.unclaimed.delete(key);
      this.#doubtful.set(key, died);
    }
    const ns = taken.flatMap(([key]) => memory.open.get(key)?.n ?? []);
    const rows = await this.#groups.submit('claim', ns);
    const diedOf = new Map(taken);
    for (const [key] of taken) this.#doubtful.delete(key);
    return rows.map((row) => ({ ...readRow(row), died: diedOf.get(row.key) ?? true }));
  }

  /** One worker a file: this one. */
  async beat(): Promise<number> {
    if (this.#memory === undefined) await this.#recall();
    await this.#groups.submit('live');
    return 1;
  }

  /** @throws JournalUnavailable also where this life may have claimed, without hearing of it, what a dead worker left: whoever comes next has to doubt that */
  async handOver(): Promise<void> {
    if (this.#memory === undefined) await this.#recall();
    const doubted = [...this.#doubtful.values()].filter((died) => died).length;
    if (doubted > 0)
      throw new JournalUnavailable(
        `claims of ${doubted} runs that a dead worker left are unanswered: they stay in doubt`,
      );
    await this.#groups.submit('handOver');
  }

  async post(id: RunId, mail: Mail): Promise<'Posted' | 'NotFound' | 'Ended'> {
    const memory = this.#memory ?? (await this.#recall());
    const key = runKey(id);
    const n = memory.open.get(key)?.n;
    if (n !== undefined && (await this.#groups.submit('post', n, mail.type, JSON.stringify(mail)))) {
      memory.hasMail = true;
      return 'Posted';
    }
    return (await this.#groups.submit('outcome', key)) === undefined ? 'NotFound' : 'Ended';
  }

  async mail(): Promise<readonly ReceivedMail[]> {
    const memory = this.#memory ?? (await this.#recall());
    if (!memory.hasMail) return [];
    memory.hasMail = false;
    const { mine, total } = await this.#groups.submit('mail');
    if (total > 0) memory.hasMail = true;
    return mine.map(({ id, key, mail }) => ({ id: idOf(key), mail: JSON.parse(mail) as Mail, receipt: String(id) }));
  }

  async settleMail(receipts: readonly string[]): Promise<void> {
    if (this.#memory === undefined) await this.#recall();
    await this.#groups.submit('settle', receipts.map(Number));
  }

  async attention(limit: number): Promise<{ readonly runs: readonly RunSight[]; readonly total: number }> {
    const memory = this.#memory ?? (await this.#recall());
    if (memory.attention === 0) return { runs: [], total: 0 };
    const rows = await this.#groups.submit('attention', limit);
    return { runs: rows.map(readRow), total: Math.max(memory.attention, rows.length) };
  }

  async counts(): Promise<ReadonlyMap<string, SagaCount>> {
    return (this.#memory ?? (await this.#recall())).counts;
  }

  async unannounced(limit: number): Promise<readonly WrittenAnnouncement[]> {
    const memory = this.#memory ?? (await this.#recall());
    if (!memory.hasNews) return [];
    memory.hasNews = false;
    const rows = await this.#groups.submit('news', limit);
    if (rows.length > 0) memory.hasNews = true;
    return rows.map(({ id, news: text }) => ({ announcement: JSON.parse(text) as Announcement, receipt: String(id) }));
  }

  async announced(receipts: readonly string[]): Promise<void> {
    if (this.#memory === undefined) await this.#recall();
    await this.#groups.submit('announced', receipts.map(Number));
  }

  async saveRevision(namespace: string, saga: string, revision: Revision): Promise<void> {
    const name = `${namespace}/${saga}/${revision.hash}`;
    if (this.#revisions.get(name) !== undefined) return;
    if (this.#memory === undefined) await this.#recall();
    await this.#groups.submit('saveRevision', `${namespace}/${saga}`, revision.hash, JSON.stringify(revision));
    this.#revisions.set(name, revision);
  }

  async loadRevision(namespace: string, saga: string, hash: string): Promise<Revision | undefined> {
    const name = `${namespace}/${saga}/${hash}`;
    const known = this.#revisions.get(name);
    if (known !== undefined) return known;
    if (this.#memory === undefined) await this.#recall();
    const text = await this.#groups.submit('loadRevision', `${namespace}/${saga}`, hash);
    const found = text === undefined ? undefined : (JSON.parse(text) as Revision);
    // Its name is a hash of its content: one that says something else was not written by us.
    if (found === undefined || revisionOf(found).hash !== hash) return undefined;
    this.#revisions.set(name, found);
    return found;
  }

  async recordException(id: RunId, entry: GivenUp, at: number): Promise<void> {
    if (this.#memory === undefined) await this.#recall();
    await this.#groups.submit('record', runKey(id), canonicalJson(entry), at);
  }

  /** What a run gave up on, in the order in which it was recorded. Kept for good. */
  async exceptions(id: RunId): Promise<readonly GivenUp[]> {
    if (this.#memory === undefined) await this.#recall();
    const entries = await this.#groups.submit('exceptions', runKey(id));
    return entries.map((entry) => JSON.parse(entry) as GivenUp);
  }

  async prune(): Promise<boolean> {
    if (this.#memory === undefined) await this.#recall();
    const now = this.#wall();
    return this.#groups.submit('prune', now, now - this.#remembered, PRUNED_AT_ONCE);
  }

  async close(): Promise<void> {
    await this.#groups.close();
    await this.#options.executor.close();
    this.#options.lock?.release();
  }

  get #remembered(): number {
    return this.#options.retention.remembered ?? REMEMBERED_MILLIS;
  }

  /** Reads again from the file what is known in memory. @throws JournalUnavailable @throws IncarnationLost */
  #recall(): Promise<Memory> {
    this.#recalling ??= this.#readAgain().finally(() => {
      this.#recalling = undefined;
    });
    return this.#recalling;
  }

  async #readAgain(): Promise<Memory> {
    const { life } = this.#groups;
    if (life === undefined)
      throw new JournalUnavailable('the journal is not open: open() comes before everything else');
    const standing = await this.#groups.submit('recall');
    const memory = new Memory(standing, life, this.#doubtful);
    // Those that are claimable stay in doubt until they are claimed: the next failure may come before that.
    for (const key of this.#doubtful.keys()) if (!memory.unclaimed.has(key)) this.#doubtful.delete(key);
    this.#memory = memory;
    return memory;
  }
}

interface Writing {
  readonly id: RunId;
  readonly key: string;
  readonly run: OpenRun;
  readonly state: RunState;
  readonly version: number;
}

/** What a state is to be announced as, unless that was done. */
function news(run: OpenRun, id: RunId, state: RunState, now: number): Announcement | undefined {
  const announcement = announcementOf(id, state, now, run.traceparent);
  return announcement !== undefined && announcement.sequence > run.told ? announcement : undefined;
}

/** Since when a person should look at the run: since its hold began, or since it is known to be overdue. */
function needsAttentionSince(run: OpenRun, { hold, overdue }: RunState, now: number): number | undefined {
  if (!overdue) return hold?.since;
  return Math.min(run.since ?? now, hold?.since ?? now);
}
