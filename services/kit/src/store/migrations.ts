import type { DatabaseSync } from 'node:sqlite';

/** The schema of one component (the kit's records, its outbox, a service's own tables): each entry is SQL that takes it one version on. */
export interface Migrations {
  readonly component: string;
  readonly steps: readonly string[];
}

/**
 * Brings a file to the current schema, all of it in one transaction. Components count their versions separately, so kit and service
 * change independently; `user_version` is their sum.
 * @throws Error when a newer release wrote the file: going on could damage rows that this one does not understand.
 */
export function migrate(database: DatabaseSync, components: readonly Migrations[]): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec(
      'CREATE TABLE IF NOT EXISTS schema_version (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID',
    );
    let total = 0;
    for (const { component, steps } of components) {
      const row = database.prepare('SELECT version FROM schema_version WHERE component = ?').get(component);
      const version = Number(row?.['version'] ?? 0);
      if (version > steps.length) {
        throw new Error(
          `the database is newer than this program: ${component} has schema version ${version}, known are ${steps.length}; run the newer release`,
        );
      }
      for (const step of steps.slice(version)) database.exec(step);
      database
        .prepare('INSERT INTO schema_version VALUES (?, ?) ON CONFLICT DO UPDATE SET version = excluded.version')
        .run(component, steps.length);
      total += steps.length;
    }
    database.exec(`PRAGMA user_version = ${total}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
