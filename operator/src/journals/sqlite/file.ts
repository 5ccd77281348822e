import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type Call,
  LifeOver,
  type OperationName,
  type Operations,
  type Result,
  type Row,
  type Standing,
} from './operations.ts';

/** Where a transaction can be made to fail by a test or a simulation, which throws there: with nothing stored yet, or with everything stored and nobody told. */
export type CommitPoint = 'commit' | 'answer';

/** Free pages (4 KiB) that a file may have before prune gives some back, and what part of it they must be. They are used again first. */
const FREE_PAGES = 4_096;
const FREE_PART = 1 / 4;
/** Pages given back at a time: some milliseconds of work. */
const VACUUMED_PAGES = 500;

const ROW = 'n, key, version, run, run_crc, traceparent, format, state, crc';

type Handlers = { readonly [K in OperationName]: (...args: Operations[K]['arguments']) => Result<K> };

/**
 * A journal's file and what can be asked of it; knows rows, not runs. Synchronous: it is carried out in a thread of its own, or in place by the
 * simulation. It parses no JSON.
 */
export class JournalFile {
  readonly #database: DatabaseSync;
  readonly #format: number;
  readonly #at: (point: CommitPoint) => void;
  readonly #statements = new Map<string, StatementSync>();
  readonly #handlers: Handlers;
  #life = 0;
  /** The number of the last run. That of one that was pruned may be given again, so what refers to a run says its key too. */
  #last: number;

  /** @param format what the states written here have. @param at called at the points of each commit. @default nothing */
  constructor(database: DatabaseSync, format: number, at: (point: CommitPoint) => void = () => undefined) {
    this.#database = database;
    this.#format = format;
    this.#at = at;
    // Who died in the middle of a transaction leaves it open on a shared handle.
    if (database.isTransaction) database.exec('ROLLBACK');
    this.#last = Number(this.#get<{ n: number | null }>('SELECT max(n) AS n FROM run')?.n ?? 0);
    this.#handlers = this.#describe();
  }

  /** One transaction. When it throws, nothing of it is stored, unless the disk failed in the commit itself. @throws LifeOver, SQLite's errors */
  execute(life: number | undefined, group: readonly Call[]): readonly unknown[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      this.#begin(life);
      const results = group.map((call) => this.#carryOut(call));
      this.#at('commit');
      this.#database.exec('COMMIT');
      this.#at('answer');
      return results;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #carryOut([name, ...args]: Call): unknown {
    const handler = this.#handlers[name] as (...args: readonly unknown[]) => unknown;
    return handler(...args);
  }

  #begin(life: number | undefined): void {
    if (life === undefined) return;
    const last = this.#get<{ life: number | null }>('SELECT max(life) AS life FROM life')?.life ?? 0;
    if (last !== life) throw new LifeOver(`this is life ${life} of the journal, and life ${last} has begun with it`);
    this.#life = life;
  }

  #describe(): Handlers {
    return {
      open: () => {
        // A life that no open run refers to says nothing to anyone any more; the last one says which is next.
        this.#run(
          `DELETE FROM life WHERE life < (SELECT max(life) FROM life) AND life NOT IN (SELECT life FROM run WHERE outcome IS NULL)`,
        );
        const life = Number(
          this.#get<{ life: number }>(
            'INSERT INTO life (life) SELECT coalesce(max(life), 0) + 1 FROM life RETURNING life',
          )?.life,
        );
        this.#life = life;
        return { life, ...this.#standing() };
      },
      recall: () => this.#standing(),
      live: () => true,
      create: (key, run, crc, traceparent) => {
        const n = this.#last + 1;
        const made = this.#run(
          `INSERT INTO run (n, key, life, version, run_crc, traceparent, run) SELECT ?, ?, ?, 1, ?, ?, ?
           WHERE NOT EXISTS (SELECT 1 FROM ended WHERE key = ?)`,
          n,
          key,
          this.#life,
          crc,
          traceparent,
          run,
          key,
        );
        if (made === 0) return { ended: this.#outcome(key) ?? '' };
        this.#last = n;
        return n;
      },
      write: (n, version, state, crc) =>
        this.#run(
          'UPDATE run SET version = version + 1, format = ?, state = ?, crc = ? WHERE n = ? AND version = ? AND life = ? AND outcome IS NULL',
          this.#format,
          state,
          crc,
          n,
          version,
          this.#life,
        ) === 1,
      writeNoted: (n, version, state, crc, held, since, told, news) => {
        const written = this.#run(
          'UPDATE run SET version = version + 1, format = ?, state = ?, crc = ?, held = ?, since = ?, told = ? WHERE n = ? AND version = ? AND life = ? AND outcome IS NULL',
          this.#format,
          state,
          crc,
          held ? 1 : 0,
          since,
          told,
          n,
          version,
          this.#life,
        );
        if (written === 1) this.#tell(news);
        return written === 1;
      },
      end: (n, version, state, crc, outcome, at, expires, news, givenUp) => {
        const written = this.#run(
          `UPDATE run SET version = version + 1, format = ?, state = ?, crc = ?, since = NULL, outcome = ?, expires = ?
           WHERE n = ? AND version = ? AND life = ? AND outcome IS NULL`,
          this.#format,
          state,
          crc,
          outcome,
          expires,
          n,
          version,
          this.#life,
        );
        if (written === 0) return false;
        this.#run('INSERT INTO ended (key, outcome, at, n) SELECT key, outcome, ?, n FROM run WHERE n = ?', at, n);
        for (const entry of givenUp)
          this.#run(
            'INSERT OR IGNORE INTO exception (key, entry, at) SELECT key, ?, ? FROM run WHERE n = ?',
            entry,
            at,
            n,
          );
        this.#tell(news);
        return true;
      },
      claim: (ns) =>
        ns.flatMap((n) =>
          this.#all<Row>(
            `UPDATE run SET life = ?, version = version + 1 WHERE n = ? AND outcome IS NULL RETURNING ${ROW}`,
            this.#life,
            n,
          ),
        ),
      find: (key, n) =>
        n === null
          ? this.#get<Row>(`SELECT ${ROW} FROM run WHERE n = (SELECT n FROM ended WHERE key = ?) AND key = ?`, key, key)
          : this.#get<Row>(`SELECT ${ROW} FROM run WHERE n = ? AND key = ?`, n, key),
      outcome: (key) => this.#outcome(key),
      attention: (limit) =>
        this.#all<Row>(`SELECT ${ROW} FROM run WHERE since IS NOT NULL ORDER BY since, n LIMIT ?`, limit),
      post: (n, kind, mail) =>
        this.#run(
          'INSERT OR REPLACE INTO mail (n, kind, mail) SELECT n, ?, ? FROM run WHERE n = ? AND outcome IS NULL',
          kind,
          mail,
          n,
        ) === 1,
      mail: () => ({
        mine: this.#all(
          'SELECT id, key, mail FROM mail JOIN run USING (n) WHERE life = ? AND outcome IS NULL ORDER BY id',
          this.#life,
        ),
        total: this.#count('mail'),
      }),
      settle: (receipts) => this.#deleteEach('DELETE FROM mail WHERE id BETWEEN ? AND ?', receipts),
      news: (limit) => this.#all('SELECT id, news FROM news ORDER BY id LIMIT ?', limit),
      announced: (receipts) => this.#deleteEach('DELETE FROM news WHERE id BETWEEN ? AND ?', receipts),
      saveRevision: (saga, hash, revision) => {
        this.#run('INSERT OR IGNORE INTO revision (saga, hash, revision) VALUES (?, ?, ?)', saga, hash, revision);
        return true;
      },
      loadRevision: (saga, hash) =>
        this.#get<{ revision: string }>('SELECT revision FROM revision WHERE saga = ? AND hash = ?', saga, hash)
          ?.revision,
      record: (key, entry, at) => {
        this.#run('INSERT OR IGNORE INTO exception (key, entry, at) VALUES (?, ?, ?)', key, entry, at);
        return true;
      },
      exceptions: (key) =>
        this.#all<{ entry: string }>('SELECT entry FROM exception WHERE key = ? ORDER BY at, entry', key).map(
          ({ entry }) => entry,
        ),
      handOver: () => {
        this.#run('UPDATE life SET handed_over = 1 WHERE life = ?', this.#life);
        return true;
      },
      prune: (now, endedBefore, limit) => this.#prune(now, endedBefore, limit),
    };
  }

  #standing(): Standing {
    return {
      open: this.#all('SELECT n, key, life, held, since, told, traceparent FROM run WHERE outcome IS NULL'),
      handedOver: this.#all<{ life: number }>('SELECT life FROM life WHERE handed_over = 1').map(({ life }) => life),
      news: this.#count('news'),
      mail: this.#count('mail'),
    };
  }

  #outcome(key: string): string | undefined {
    return this.#get<{ outcome: string }>('SELECT outcome FROM ended WHERE key = ?', key)?.outcome;
  }

  #tell(news: string | null): void {
    if (news !== null) this.#run('INSERT INTO news (news) VALUES (?)', news);
  }

  #prune(now: number, endedBefore: number, limit: number): boolean {
    const expired = this.#run('DELETE FROM run WHERE n IN (SELECT n FROM run WHERE expires <= ? LIMIT ?)', now, limit);
    const forgotten = this.#run(
      'DELETE FROM ended WHERE e IN (SELECT e FROM ended WHERE at <= ? LIMIT ?)',
      endedBefore,
      limit,
    );
    this.#run('DELETE FROM mail WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.n = mail.n AND outcome IS NULL)');
    const free = this.#pragma('freelist_count');
    const spare = free > FREE_PAGES && free > FREE_PART * this.#pragma('page_count');
    if (spare) this.#database.exec(`PRAGMA incremental_vacuum(${VACUUMED_PAGES})`);
    return expired === limit || forgotten === limit || spare;
  }

  /** Deletes by number, neighbours at once. */
  #deleteEach(sql: string, numbers: readonly number[]): true {
    const sorted = [...numbers].sort((a, b) => a - b);
    for (let begin = 0; begin < sorted.length; ) {
      let end = begin;
      while (sorted[end + 1] === (sorted[end] as number) + 1) end++;
      this.#run(sql, sorted[begin] as number, sorted[end] as number);
      begin = end + 1;
    }
    return true;
  }

  #count(table: 'news' | 'mail'): number {
    return Number(this.#get<{ count: number }>(`SELECT count(*) AS count FROM ${table}`)?.count);
  }

  #pragma(name: string): number {
    return Number(this.#get<Record<string, number>>(`PRAGMA ${name}`)?.[name]);
  }

  #get<R>(sql: string, ...values: readonly (string | number | null)[]): R | undefined {
    return this.#prepared(sql).get(...values) as R | undefined;
  }

  #all<R>(sql: string, ...values: readonly (string | number | null)[]): R[] {
    return this.#prepared(sql).all(...values) as R[];
  }

  #run(sql: string, ...values: readonly (string | number | null)[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
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
