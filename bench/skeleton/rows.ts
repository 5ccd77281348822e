import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What one row weighs: about as much as a step's record or an event. */
const DOCUMENT = JSON.stringify({ at: 1_763_800_000_000, text: 'x'.repeat(350) });

/** Rows that are durable when their promise resolves; those that wait together share a commit. */
export class Rows {
  readonly #database: DatabaseSync;
  readonly #insert;
  #waiting: { rows: number; resolve: () => void }[] = [];
  #scheduled = false;

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
      setImmediate(() => this.#commit());
    });
  }

  #commit(): void {
    this.#scheduled = false;
    const group = this.#waiting;
    this.#waiting = [];
    this.#database.exec('BEGIN IMMEDIATE');
    for (const { rows } of group) for (let n = 0; n < rows; n++) this.#insert.run(key(), DOCUMENT);
    this.#database.exec('COMMIT');
    for (const { resolve } of group) resolve();
  }
}

let next = 0;
/** As an order's key is: unlike the one before it. */
const key = (): string => `default/checkout/${((next++ * 2_654_435_761) >>> 0).toString(36)}/reserve-stock`;
