import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Marks the file as a journal ("MrcJ"), so that another program's database is not taken for one. */
const APPLICATION_ID = 0x4d72634a;
const SCHEMA = 1;

/** Pages of the write-ahead log before they go to the file (16 MB): hot pages are then copied once for some thousands of writes. */
const CHECKPOINT_PAGES = 4_000;
/** What is left of a log that one long reader made grow. Bytes. */
const LOG_LIMIT = 64 * 1024 * 1024;
/** KiB. */
const CACHE = 32_000;

/**
 * Rows of `run` stay where they are from create to prune, in the order of creation: what is written together lies together, so that a group dirties few
 * pages. Open runs are found by the journal's memory, hence there is no index of their keys.
 */
const TABLES = `
CREATE TABLE life (life INTEGER PRIMARY KEY, handed_over INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE run (
  n INTEGER PRIMARY KEY, key TEXT NOT NULL, life INTEGER NOT NULL, version INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0, since INTEGER, outcome TEXT, expires INTEGER, run_crc INTEGER NOT NULL, format INTEGER, crc INTEGER,
  traceparent TEXT, run TEXT NOT NULL, state TEXT
) STRICT;
CREATE INDEX run_open ON run (n) WHERE outcome IS NULL;
CREATE INDEX run_attention ON run (since) WHERE since IS NOT NULL;
CREATE INDEX run_expires ON run (expires) WHERE expires IS NOT NULL;
CREATE TABLE ended (e INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, outcome TEXT NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL) STRICT;
CREATE INDEX ended_at ON ended (at);
CREATE TABLE mail (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL, kind TEXT NOT NULL, mail TEXT NOT NULL, UNIQUE (n, kind)) STRICT;
CREATE TABLE news (id INTEGER PRIMARY KEY AUTOINCREMENT, news TEXT NOT NULL) STRICT;
CREATE TABLE revision (saga TEXT NOT NULL, hash TEXT NOT NULL, revision TEXT NOT NULL, PRIMARY KEY (saga, hash)) STRICT, WITHOUT ROWID;
CREATE TABLE exception (key TEXT NOT NULL, entry TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (key, entry)) STRICT, WITHOUT ROWID;
`;

/**
 * Opens a journal's file, and makes it where there is none. What durability depends on is said explicitly: in WAL mode SQLite's `synchronous` falls back
 * to NORMAL, which may lose the last commits when power fails. `:memory:` lives as long as its handle. Only its owner may read a file that is made here: it
 * has addresses and payment tokens in it.
 * @throws Error when the file is another program's, or a newer operator's; SQLite's own errors
 */
export function openFile(path: string): DatabaseSync {
  if (path !== ':memory:') makePrivate(path);
  const database = new DatabaseSync(path, { timeout: 5_000 });
  try {
    // The first takes effect in a new file only.
    database.exec(
      `PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
       PRAGMA cache_size = -${CACHE}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${LOG_LIMIT}`,
    );
    prepareTables(path, database);
  } catch (error) {
    database.close();
    throw error;
  }
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

function prepareTables(path: string, database: DatabaseSync): void {
  const pragma = (name: string): number => Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
  if (pragma('application_id') === APPLICATION_ID) {
    const version = pragma('user_version');
    if (version === SCHEMA) return;
    throw new Error(
      `${path} has journal schema ${version}, this operator knows ${SCHEMA}: run the operator that wrote it`,
    );
  }
  if (Number(database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables']) > 0)
    throw new Error(`${path} is a database, and not an operator's journal: give --journal-path another file`);
  database.exec(
    `BEGIN IMMEDIATE; ${TABLES} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA}; COMMIT`,
  );
}
