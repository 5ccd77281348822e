import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What one row weighs: about as much as a step's record or an event. */
const DOCUMENT = JSON.stringify({ at: 1_763_800_000_000, text: 'x'.repeat(350) });

/** Shortest time between two commits, as services have it (services/kit/src/store/sqlite.ts). */
const GATHER_MS = 4;

/** Rows that are durable when their promise resolves; those that wait together share a commit. */
export class Rows {
  readonly #database: DatabaseSync;
  readonly #insert;
  #waiting: { rows: number; resolve: () => void }[] = [];
  #scheduled = false;
  #last = Number.NEGATIVE_INFINITY;

  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true });
    this.#database = new DatabaseSync(file);
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    this.#database.exec(
      'CREATE TABLE IF NOT EXISTS one (id INTEGER PRIMARY KEY, key TEXT NOT NULL, document TEXT NOT NULL) STRICT',
    );
    this.#database.exec('CREATE INDEX IF NOT EXISTS one_key ON one (key)');
    this.#insert = this.#database.prepare('INSERT INTO one (key, document) VALUES (?, ?)');
  }

  write(rows: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ rows, resolve });
      if (this.#scheduled) return;
      this.#scheduled = true;
      const wait = this.#last + GATHER_MS - performance.now();
      if (wait <= 0) setImmediate(() => this.#commit());
      else setTimeout(() => this.#commit(), wait);
    });
  }

  #commit(): void {
    this.#scheduled = false;
    const group = this.#waiting;
    this.#waiting = [];
    this.#database.exec('BEGIN IMMEDIATE');
    for (const { rows } of group) for (let n = 0; n < rows; n++) this.#insert.run(key(), DOCUMENT);
    this.#database.exec('COMMIT');
    this.#last = performance.now();
    for (const { resolve } of group) resolve();
  }
}

let next = 0;
/** As an order's key is: in the order of time. */
const key = (): string => `default/checkout/o${(Date.now() * 1_000 + (next++ % 1_000)).toString(36)}/reserve-stock`;
