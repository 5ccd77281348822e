import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Keeps a second process away from a journal. An empty database beside it is locked for as long as the process lives: the operating system lets go of it
 * however the process ends, and one that only reads the journal (`sqlite3`) is not in the way.
 */
export class FileLock {
  readonly #path: string;
  #database: DatabaseSync | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws Error when another process has it */
  take(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const database = new DatabaseSync(`${this.#path}.lock`);
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    } catch (cause) {
      database.close();
      throw new Error(
        `${this.#path} is in use: stop the other operator, or give this one a --journal-path of its own`,
        { cause },
      );
    }
    this.#database = database;
  }

  release(): void {
    this.#database?.close();
    this.#database = undefined;
  }
}
