import { hostname } from 'node:os';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { REVISIONS_KEPT, Recent } from '../../runtime/recent.ts';
import { runKey } from '../../saga/command.ts';
import type { GivenUp, Revision, RunId, RunState } from '../../saga/types.ts';
import { type JournalRecord, JournalUnavailable, type Version } from '../journal.ts';
import type {
  ClaimedRun,
  Creation,
  Mail,
  NewRun,
  ReceivedMail,
  Retention,
  RunSight,
  WorkerJournal,
  WrittenAnnouncement,
} from '../worker-journal.ts';
import { Book, type Counts } from './book.ts';
import { type Connection, connect } from './calls.ts';
import { type Chance, systemChance } from './chance.ts';
import { Claims } from './claims.ts';
import { exceptionKey, type Item, idOf, lifeShard, N, revisionKey, runItemKey, S, textOf } from './keys.ts';
import { Ledger } from './ledger.ts';
import { Lives } from './lives.ts';
import { Mailbox } from './mailbox.ts';
import {
  exceptionItem,
  isForgotten,
  isVisible,
  newRunItem,
  outcomeOf,
  recordOf,
  sightOf,
  standingOf,
  versionOf,
} from './record.ts';
import { attention } from './sights.ts';
import { NotDone, Store } from './store.ts';
import { Tally } from './tally.ts';
import { Writer } from './writes.ts';

export interface DynamoJournalOptions {
  /** See {@link connect}. It is closed with the journal. */
  readonly connection: Connection;
  /** A table that {@link JOURNAL_TABLE} describes, whatever its name. */
  readonly table: string;
  readonly retention: Retention;
  /** What this worker's lives are named after, for people. @default the host's name */
  readonly name?: string;
  /** @default the machine's clocks */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly chance?: Chance;
}

/** A version of a run that nobody has written yet. */
const FIRST: Version = '1';
/** Who asks more often gets the lives as they were: a dead one is to be noticed soon where runs are claimed, and late is soon enough elsewhere. Milliseconds. */
const CLAIM_LOOK_MILLIS = 500;
const LOOK_MILLIS = 2_000;

/** The journal in a table of the AWS account that the environment says (AWS_REGION, AWS_ENDPOINT_URL_DYNAMODB and the SDK's other variables). */
export function dynamoJournal(
  table: string,
  options: Omit<DynamoJournalOptions, 'connection' | 'table'>,
): DynamoJournal {
  return new DynamoJournal({ ...options, table, connection: connect() });
}

/**
 * The dynamodb journal: any number of workers share a table (docs/adr/dynamodb-journal.md).
 *
 * A run is an item, and its owner a worker's life. Each write of it is conditional on version and owner; a dead life's runs are claimed one by one, each
 * by a write conditional on the dead owner, so that a zombie's writes are refused from then on. A run that nothing disturbs costs three calls: create,
 * pivot intent, end. Without `open`, for a program that is no worker, runs can be read, looked at and counted, and mail posted.
 */
export class DynamoJournal implements WorkerJournal {
  readonly #connection: Connection;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #lives: Lives;
  readonly #book = new Book();
  readonly #ledger = new Ledger();
  readonly #mailbox: Mailbox;
  readonly #writer: Writer;
  readonly #claims: Claims;
  /** Claimed, and not given out yet: it was not certain that this worker lives. */
  readonly #claimed: ClaimedRun[] = [];
  /** Creations that are under way: a second of the same run waits for the first. */
  readonly #creating = new Map<string, Promise<unknown>>();
  readonly #revisions = new Recent<string, Revision>(REVISIONS_KEPT);
  readonly #tally: Tally;
  #asking: Promise<void> | undefined;

  constructor(options: DynamoJournalOptions) {
    const { connection, table, retention, name = hostname(), clock = systemClock, chance = systemChance } = options;
    this.#connection = connection;
    this.#store = new Store(connection.send, table);
    this.#clock = clock;
    this.#name = name;
    const wall = (): number => clock.wall();
    this.#lives = new Lives(this.#store, clock, chance);
    this.#tally = new Tally(this.#store, clock);
    this.#mailbox = new Mailbox(this.#store, wall, chance);
    const parts = { store: this.#store, lives: this.#lives, book: this.#book, ledger: this.#ledger };
    this.#writer = new Writer({ ...parts, retention, wall });
    this.#claims = new Claims({ ...parts, mailbox: this.#mailbox, clock, chance, create: (run) => this.create(run) });
  }

  async open(): Promise<string> {
    return this.#lives.begin(this.#name);
  }

  async create(run: NewRun): Promise<Creation> {
    const key = runKey(run.id);
    for (let other = this.#creating.get(key); other !== undefined; other = this.#creating.get(key))
      await other.catch(() => undefined);
    const creating = this.#create(run);
    this.#creating.set(key, creating);
    try {
      const creation = await creating;
      this.#claims.knowCreation(run.id);
      return creation;
    } catch (error) {
      if (error instanceof JournalUnavailable && !(error instanceof NotDone)) this.#claims.doubtCreation(run);
      throw error;
    } finally {
      this.#creating.delete(key);
    }
  }

  async claim(limit: number): Promise<readonly ClaimedRun[]> {
    const own = this.#lives.own;
    await this.#certain(NotDone);
    const lives = await this.#lives.look(CLAIM_LOOK_MILLIS);
    this.#claimed.push(...(await this.#claims.runs(own, lives, limit - this.#claimed.length)));
    if (this.#claimed.length > 0) await this.#certain(JournalUnavailable);
    return this.#claimed.splice(0, limit);
  }

  async beat(): Promise<number> {
    await this.#lives.beat(this.#told());
    const lives = await this.#lives.look();
    // An answer that is eventually consistent may not have this life yet.
    return 1 + lives.filter((life) => life.standing === 'Alive' && life.incarnation !== this.#lives.mine).length;
  }

  async handOver(): Promise<void> {
    await this.#lives.handOver(this.#told());
  }

  async read(id: RunId): Promise<JournalRecord | undefined> {
    const item = await this.#store.get(runItemKey(id));
    if (item === undefined || isForgotten(item, this.#clock.wall())) return undefined;
    this.#writer.read(id, item);
    return recordOf(item);
  }

  async write(id: RunId, state: RunState, version: Version): Promise<Version> {
    await this.#certain(NotDone);
    return this.#writer.write(id, state, version);
  }

  async saveRevision(namespace: string, saga: string, revision: Revision): Promise<void> {
    const name = `${namespace}/${saga}/${revision.hash}`;
    if (this.#revisions.get(name) !== undefined) return;
    const item = { ...revisionKey(namespace, saga, revision.hash), content: S(JSON.stringify(revision)) };
    await this.#store.put(item, 'attribute_not_exists(#pk)');
    this.#revisions.set(name, revision);
  }

  async loadRevision(namespace: string, saga: string, hash: string): Promise<Revision | undefined> {
    const name = `${namespace}/${saga}/${hash}`;
    const known = this.#revisions.get(name);
    if (known !== undefined) return known;
    const content = textOf((await this.#store.get(revisionKey(namespace, saga, hash))) ?? {}, 'content');
    if (content === undefined) return undefined;
    const revision = JSON.parse(content) as Revision;
    this.#revisions.set(name, revision);
    return revision;
  }

  async recordException(id: RunId, entry: GivenUp, at: number): Promise<void> {
    const item = { ...exceptionKey(id, entry), ...exceptionItem(entry, at) };
    await this.#store.put(item, 'attribute_not_exists(#pk)');
  }

  async post(id: RunId, mail: Mail): Promise<'Posted' | 'NotFound' | 'Ended'> {
    return this.#mailbox.post(id, mail);
  }

  async mail(): Promise<readonly ReceivedMail[]> {
    return this.#mailbox.read(this.#lives.own);
  }

  async settleMail(receipts: readonly string[]): Promise<void> {
    await this.#mailbox.settle(receipts);
  }

  async look(id: RunId): Promise<RunSight | undefined> {
    const item = await this.#store.get(runItemKey(id));
    return item === undefined || !isVisible(item, this.#clock.wall()) ? undefined : sightOf(item);
  }

  async attention(limit: number): Promise<{ readonly runs: readonly RunSight[]; readonly total: number }> {
    return attention(this.#store, limit);
  }

  async counts(): Promise<Counts> {
    const lives = await this.#lives.look(LOOK_MILLIS);
    const others = lives.filter(({ incarnation }) => incarnation !== this.#lives.mine);
    return this.#tally.sum(this.#book.counts, others);
  }

  async unannounced(limit: number): Promise<readonly WrittenAnnouncement[]> {
    const own = this.#lives.own;
    await this.#resolveDoubts();
    const untold = this.#ledger.untold(limit);
    if (untold.length >= limit) return untold;
    await this.#claims.ends(own, await this.#lives.look(LOOK_MILLIS), limit - untold.length);
    return this.#ledger.untold(limit);
  }

  async announced(receipts: readonly string[]): Promise<void> {
    for (const receipt of receipts) this.#ledger.told(receipt);
  }

  /** DynamoDB deletes what has expired; until it does, it counts as gone. */
  async prune(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #create(run: NewRun): Promise<Creation> {
    const own = this.#lives.own;
    if (this.#book.find(run.id) !== undefined) return { type: 'Open' };
    await this.#certain(NotDone);
    const owned = { owner: S(own), ownerShard: S(lifeShard(own, run.id)), standing: S(standingOf(false)) };
    const item = { ...newRunItem(run), ...owned, version: N(Number(FIRST)) };
    const now = this.#clock.wall();
    const written = await this.#store.put(item, 'attribute_not_exists(#pk) OR #expires <= :now', {
      ':now': N(Math.floor(now / 1000)),
    });
    if (written.done) return this.#created(run, FIRST);
    const found = written.found ?? (await this.#store.get(runItemKey(run.id)));
    if (found === undefined)
      throw new JournalUnavailable(`${runKey(run.id)} was deleted while it was looked at: try again`);
    const outcome = outcomeOf(found);
    if (outcome !== undefined) return { type: 'Ended', outcome };
    return this.#found(run, found);
  }

  /** An open run of that order is there already. */
  async #found(run: NewRun, found: Item): Promise<Creation> {
    const owner = textOf(found, 'owner') ?? '';
    // An earlier creation of ours, whose answer was lost; nobody drives it.
    if (owner === this.#lives.mine) return this.#created(run, versionOf(found));
    // Made under a life that was struck long ago, by a worker that did not know: nobody would look there again.
    if (!(await this.#lives.exists(owner))) this.#claims.stray(run.id, owner);
    return { type: 'Open' };
  }

  async #created(run: NewRun, version: Version): Promise<Creation> {
    await this.#certain(JournalUnavailable);
    this.#book.enter({ run, held: false, since: undefined, announced: 0, attempts: [] });
    return { type: 'Created', version };
  }

  /**
   * Asks whether this worker lives, where its clock cannot tell: nothing is to be begun by one that others may have declared dead, nor given out that it
   * made meanwhile.
   * @throws IncarnationLost when it was declared dead @throws `otherwise` when that cannot be asked
   */
  async #certain(otherwise: new (message: string, options: ErrorOptions) => JournalUnavailable): Promise<void> {
    if (this.#lives.isCertain) return;
    this.#asking ??= this.#lives.beat(this.#told()).finally(() => {
      this.#asking = undefined;
    });
    await this.#asking.catch((error: unknown) => {
      if (!(error instanceof JournalUnavailable)) throw error;
      throw new otherwise(`whether this worker lives cannot be asked: ${error.message}`, { cause: error });
    });
  }

  /** The runner looks after a write that was not answered; if it does not come to it, what was to be told is told all the same. */
  async #resolveDoubts(): Promise<void> {
    const { inDoubt } = this.#book;
    if (inDoubt.length === 0) return;
    for (const item of await this.#store.getAll(inDoubt.map(runItemKey))) this.#writer.read(idOf(item), item);
  }

  #told(): { watermark: number; counts: Counts } {
    return { watermark: this.#ledger.watermark, counts: this.#book.counts };
  }
}
