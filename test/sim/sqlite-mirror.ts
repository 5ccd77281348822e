import type { DatabaseSync } from 'node:sqlite';
import { encode, type JournalledStatus } from '@mercato/operator/journals/kubernetes/codec.ts';
import { idOf, readRow } from '@mercato/operator/journals/sqlite/codec.ts';
import type { Row } from '@mercato/operator/journals/sqlite/operations.ts';
import type { Mail } from '@mercato/operator/journals/worker-journal.ts';
import type { GivenUp, Revision } from '@mercato/operator/saga/types.ts';
import type { ApiServer, Outcome } from './api-server.ts';
import type { Books } from './books.ts';

interface MailRow {
  readonly id: number;
  readonly n: number;
  readonly kind: string;
  readonly key: string;
  readonly mail: string;
}

type OwnedRow = Row & { readonly life: number };

/**
 * Shows the observers what a sqlite journal has on disk, after each commit: they read it themselves, and ask nobody. What they look at has the form that
 * they know from the API server.
 */
export class Mirror {
  readonly #database: DatabaseSync;
  readonly #api: ApiServer;
  /** Versions that were shown, by the run's number. */
  readonly #shown = new Map<number, number>();
  readonly #recorded = new Set<string>();
  readonly #books: Books;
  /** Whose each run is, by its number. */
  readonly #lives = new Map<number, number>();
  /** What was left for runs, by the run's number and the kind. */
  #mail: ReadonlyMap<string, MailRow> = new Map();

  constructor(database: DatabaseSync, api: ApiServer, books: Books) {
    this.#database = database;
    this.#api = api;
    this.#books = books;
  }

  /** Something was committed. */
  show(): void {
    for (const { saga: _, hash, revision } of this.#all<{ saga: string; hash: string; revision: string }>('revision'))
      this.#api.revisions.set(hash, JSON.parse(revision) as Revision);
    const rows = this.#all<OwnedRow>('run').filter(({ n, version }) => this.#shown.get(n) !== version);
    for (const row of rows) {
      this.#shown.set(row.n, row.version);
      this.#showRun(row);
    }
    this.#showMail();
    for (const row of rows) this.#showLife(row);
    for (const { key, outcome } of this.#all<{ key: string; outcome: Outcome }>('ended'))
      this.#api.finished.set(key, outcome);
    for (const { key, entry } of this.#all<{ key: string; entry: string }>('exception')) {
      if (this.#recorded.has(`${key} ${entry}`)) continue;
      this.#recorded.add(`${key} ${entry}`);
      this.#api.record(idOf(key), JSON.parse(entry) as GivenUp);
    }
  }

  /** A letter of the same kind replaces the one before it; what is gone without another was taken away. Nothing lies for what has ended. */
  #showMail(): void {
    const rows = this.#database
      .prepare('SELECT mail.id, n, kind, key, mail FROM mail JOIN run USING (n) WHERE outcome IS NULL')
      .all() as unknown as MailRow[];
    const before = this.#mail;
    this.#mail = new Map(rows.map((row) => [`${row.n} ${row.kind}`, row]));
    for (const [name, { key, mail }] of before)
      if (!this.#mail.has(name)) this.#books.settled(key, JSON.parse(mail) as Mail);
    const lying = Map.groupBy(rows, ({ key }) => key);
    for (const key of new Set([...before.values(), ...rows].map((row) => row.key)))
      this.#books.letters.lie(
        key,
        (lying.get(key) ?? []).map(({ id }) => String(id)),
      );
  }

  /** Another life has the run from now on. */
  #showLife({ n, key, life }: OwnedRow): void {
    const before = this.#lives.get(n);
    this.#lives.set(n, life);
    if (before !== undefined && before !== life) this.#books.letters.passOn(key);
  }

  #showRun(row: Row): void {
    const { run, record } = readRow(row);
    this.#api.create(run.id, run.input);
    if (!('state' in record) || record.state === undefined) return;
    const { state } = record;
    this.#api.patch(row.key, () => ({ status: encode(run.id, state) as JournalledStatus }));
  }

  #all<R>(table: 'run' | 'ended' | 'exception' | 'revision'): R[] {
    return this.#database.prepare(`SELECT * FROM ${table}`).all() as R[];
  }
}
