import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** SQLITE_BUSY: somebody else has the lock. */
const BUSY = 5;

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

  /** @throws Error when another process has it, or when nobody can have it there */
  take(): void {
    const path = `${this.#path}.lock`;
    let database: DatabaseSync | undefined;
    try {
      mkdirSync(dirname(path), { recursive: true });
      database = new DatabaseSync(path);
      database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    } catch (cause) {
      database?.close();
      const said = cause as Error & { errcode?: number };
      if (said.errcode === BUSY)
        throw new Error(
          `${this.#path} is in use: stop the other operator, or give this one a --journal-path of its own`,
          { cause },
        );
      throw new Error(`${path} cannot be locked (${said.message}): look at the volume, and who may write there`, {
        cause,
      });
    }
    this.#database = database;
  }

  release(): void {
    this.#database?.close();
    this.#database = undefined;
  }
}
