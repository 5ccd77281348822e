import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type Migrations, migrate } from './migrations.ts';
import {
  Crash,
  type CrashPoint,
  type Gathered,
  type Reader,
  type Shared,
  type SqlValue,
  type Store,
  StoreError,
  type Tx,
} from './port.ts';

export interface SqliteOptions {
  /** Schemas to bring up to date on opening. */
  readonly migrations: readonly Migrations[];
  /** Operations in one commit at most. @default 1000 */
  readonly maxGroup?: number;
  /**
   * When to commit what has gathered. The simulation passes its scheduler's.
   * @default at the end of this turn of the event loop, but not sooner than {@link gather} after the last commit
   */
  readonly defer?: (flush: () => void) => void;
  /**
   * Shortest time between two commits, in milliseconds. Who comes alone does not wait. Under load, when answers from outside bring operations one by one,
   * they would each have a commit otherwise, and it costs more than the rest of them. @default 0: tests on a virtual clock count on turns
   */
  readonly gather?: number;
  /** Fault injection; absent in production. */
  readonly crashPoint?: CrashPoint;
  /** Told after each commit how many operations it carried and how long it took. */
  readonly onCommit?: (operations: number, seconds: number) => void;
  /** Told after each commit what its operations shared. */
  readonly onGathered?: (gathered: Gathered) => void;
}

interface Operation {
  readonly work: (tx: Tx) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens a database file, with the pragmas that durability depends on said explicitly: in WAL mode SQLite's `synchronous` falls back to
 * NORMAL, which may lose the last commits on power failure. `:memory:` gives one that lives as long as the handle. A file that is made here is for its owner
 * only: it may have addresses and payment tokens in it.
 */
export function openDatabase(path: string): DatabaseSync {
  if (path !== ':memory:') makePrivate(path);
  const database = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: true });
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000',
  );
  return database;
}

/** SQLite gives the log beside the file the file's own permissions. One that is there is not opened: closing it would take SQLite's locks away. */
function makePrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** What services take for {@link SqliteOptions.gather}: nobody notices it beside the disk, and 100 commits a second are enough. Milliseconds. */
export const GATHER = 8;

/**
 * A Store on SQLite with group commit: all operations that arrive in one turn of the event loop share one transaction, each in a savepoint
 * of its own, so one fsync answers them all. (One commit each: some 700 a second; grouped: 60,000.)
 *
 * One process per file. A handle outlives its Store, which is how the simulation restarts a crashed process on what it had committed.
 */
export class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #tx: SqliteTx;
  readonly #maxGroup: number;
  readonly #defer: (flush: () => void) => void;
  readonly #crashPoint: CrashPoint | undefined;
  readonly #onCommit: SqliteOptions['onCommit'];
  readonly #onGathered: SqliteOptions['onGathered'];
  #waiting: Operation[] = [];
  #scheduled = false;
  #ended: Error | undefined;

  constructor(database: DatabaseSync, options: SqliteOptions) {
    // A predecessor that crashed mid-transaction leaves it open on a shared handle.
    if (database.isTransaction) database.exec('ROLLBACK');
    migrate(database, options.migrations);
    this.#database = database;
    this.#tx = new SqliteTx(database);
    this.#maxGroup = options.maxGroup ?? 1000;
    this.#defer = options.defer ?? paced(options.gather ?? 0);
    this.#crashPoint = options.crashPoint;
    this.#onCommit = options.onCommit;
    this.#onGathered = options.onGathered;
  }

  transact<R>(work: (tx: Tx) => R): Promise<R> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise<R>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  async read<R>(work: (reader: Reader) => R): Promise<R> {
    if (this.#ended !== undefined) throw this.#ended;
    // Groups run synchronously, so between two of them everything on this connection is committed.
    return work(this.#tx);
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    while (this.#waiting.length > 0) this.#flush();
    if (this.#ended !== undefined) return;
    this.#ended = new StoreError('the store is closed');
    this.#database.close();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(() => {
      this.#scheduled = false;
      this.#flush();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  #flush(): void {
    const group = this.#waiting.splice(0, this.#maxGroup);
    if (group.length === 0 || this.#ended !== undefined) return;
    const started = performance.now();
    const settle: (() => void)[] = [];
    let gathered: readonly Gathered[];
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const operation of group) settle.push(this.#carryOut(operation));
      gathered = this.#tx.flush();
      this.#crashPoint?.('commit');
      this.#database.exec('COMMIT');
      this.#crashPoint?.('answer');
    } catch (error) {
      this.#fail(group, error);
      return;
    }
    // Only now does anybody learn anything: an answer before the commit could be of something that never was.
    for (const tell of settle) tell();
    this.#onCommit?.(group.length, (performance.now() - started) / 1000);
    if (this.#onGathered !== undefined) gathered.forEach(this.#onGathered);
  }

  #carryOut({ work, resolve, reject }: Operation): () => void {
    this.#tx.run('SAVEPOINT operation');
    try {
      const value = work(this.#tx);
      this.#tx.run('RELEASE operation');
      this.#tx.keep();
      return () => resolve(value);
    } catch (error) {
      // Where SQLite itself has rolled back (disk full), there is no operation to take back alone: the whole group fails.
      if (error instanceof Crash || !this.#database.isTransaction) throw error;
      this.#tx.undo();
      this.#tx.run('RELEASE operation');
      return () => reject(error);
    }
  }

  #fail(group: readonly Operation[], error: unknown): void {
    this.#tx.forget();
    let reason: Error;
    if (error instanceof Crash) {
      reason = error;
      this.#ended = error;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    } else {
      reason = new StoreError(`the commit failed, nothing of it is stored: ${String(error)}`, { cause: error });
    }
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    for (const { reject } of group) reject(reason);
  }
}

/** Runs at the end of this turn of the event loop, or, if it ran less than `gap` milliseconds ago, as soon as that is over. */
function paced(gap: number): (run: () => void) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (run) => {
    const work = () => {
      run();
      last = performance.now();
    };
    const wait = last + gap - performance.now();
    if (wait <= 0) setImmediate(work);
    else setTimeout(work, wait);
  };
}

class SqliteTx implements Tx {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** What the operations of the commit at hand share. */
  readonly #shared = new Map<(tx: Tx) => Shared, Shared>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  shared<S extends Shared>(make: (tx: Tx) => S): S {
    let found = this.#shared.get(make);
    if (found === undefined) {
      found = make(this);
      this.#shared.set(make, found);
    }
    // Only what `make` made is stored under it.
    return found as S;
  }

  /** The operation at hand has ended well. */
  keep(): void {
    for (const shared of this.#shared.values()) shared.keep();
  }

  /** The commit's last operation is over: writes what they share. */
  flush(): Gathered[] {
    const gathered = [...this.#shared.values()].map((shared) => shared.flush(this));
    this.forget();
    return gathered;
  }

  /** Ends what is shared without writing it. */
  forget(): void {
    this.#shared.clear();
  }

  get<Row>(sql: string, ...parameters: SqlValue[]): Row | undefined {
    return this.#prepared(sql).get(...parameters) as Row | undefined;
  }

  all<Row>(sql: string, ...parameters: SqlValue[]): Row[] {
    return this.#prepared(sql).all(...parameters) as Row[];
  }

  run(sql: string, ...parameters: SqlValue[]): number {
    return Number(this.#prepared(sql).run(...parameters).changes);
  }

  undo(): void {
    this.run('ROLLBACK TO operation');
    for (const shared of this.#shared.values()) shared.undo();
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
