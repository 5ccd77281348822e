import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/**
 * Loaded before a program (`node --import`), in each of its threads: while the file is there that MERCATO_FAULT_DISK names, no database gets another page.
 * SQLite itself then says that the disk is full, in the middle of a transaction or in its commit, and rolls back.
 */
const file = process.env['MERCATO_FAULT_DISK'];
if (file === undefined) throw new Error('MERCATO_FAULT_DISK: name the file that makes the disk full');

/** As SQLite has it: less than there is means what there is. */
const NO_MORE = 1;
const ANY = 4_294_967_294;

const limits = new WeakMap<DatabaseSync, number>();
const { exec } = DatabaseSync.prototype;

DatabaseSync.prototype.exec = function (this: DatabaseSync, sql: string): void {
  const limit = existsSync(file) ? NO_MORE : ANY;
  if (sql.startsWith('BEGIN') && limits.get(this) !== limit) {
    exec.call(this, `PRAGMA max_page_count = ${limit}`);
    limits.set(this, limit);
  }
  exec.call(this, sql);
};
