import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { runKey } from '../../../saga/command.ts';
import type { GivenUp, RunId } from '../../../saga/types.ts';
import type { Fault } from '../../../testing/memory-journal.ts';
import { byWorkers, type JournalHarness, type JournalPlace, KEPT_MILLIS } from '../../conformance.ts';
import type { JournalRecord } from '../../journal.ts';
import { readRow } from '../codec.ts';
import { SqliteJournal } from '../journal.ts';
import { type Call, CommitFailed, type Executor, READS, type Row } from '../operations.ts';

/** An executor whose next group that writes can be made to fail: before it, or after it with its answer lost. */
export class Faulty implements Executor {
  readonly #executor: Executor;
  /** How the next groups that write fail, in order. */
  readonly faults: Fault[] = [];

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  async execute(life: number | undefined, group: readonly Call[]): Promise<readonly unknown[]> {
    const fault = group.every(([name]) => READS.has(name)) ? undefined : this.faults.shift();
    if (fault === 'refused') throw new CommitFailed('the test says so');
    const results = await this.#executor.execute(life, group);
    if (fault === 'answer lost') throw new CommitFailed('the test lost the answer');
    return results;
  }

  close(): Promise<void> {
    return this.#executor.close();
  }
}

/** The sqlite journal for the conformance suite: a real file, and executors as `make` gives them. */
export function sqliteHarness(name: string, make: (path: string) => Executor): JournalHarness<SqliteJournal> {
  return {
    name,
    async place(clock): Promise<JournalPlace<SqliteJournal>> {
      const directory = mkdtempSync(join(tmpdir(), 'mercato-journal-'));
      const path = join(directory, 'journal.db');
      const executors = new Map<SqliteJournal, Faulty>();
      let beside: DatabaseSync | undefined;
      const database = (): DatabaseSync => {
        beside ??= new DatabaseSync(path, { timeout: 5_000 });
        return beside;
      };
      const start = async (): Promise<SqliteJournal> => {
        const executor = new Faulty(make(path));
        // What waits for its neighbours waits on a clock of its own, which stands still here.
        const journal = new SqliteJournal({
          executor,
          defer: setImmediate,
          wall: () => clock.wall(),
          retention: { ended: (_, outcome) => KEPT_MILLIS[outcome] },
        });
        executors.set(journal, executor);
        await journal.open();
        return journal;
      };
      return {
        namespace: 'shop',
        ...byWorkers,
        start,
        async succeed(last, leaving) {
          if (leaving === 'handedOver') await last.handOver();
          return start();
        },
        async peek(id: RunId): Promise<JournalRecord | undefined> {
          const row = database().prepare('SELECT * FROM run WHERE key = ? ORDER BY n DESC LIMIT 1').get(runKey(id)) as
            | Row
            | undefined;
          return row === undefined ? undefined : readRow(row).record;
        },
        async damage(id: RunId) {
          database().prepare("UPDATE run SET state = json_set(state, '$.claims', 7) WHERE key = ?").run(runKey(id));
        },
        async renew(id: RunId) {
          database().prepare('UPDATE run SET format = format + 1 WHERE key = ?').run(runKey(id));
        },
        fail(journal: SqliteJournal, fault: Fault) {
          executors.get(journal)?.faults.push(fault);
        },
        async exceptions(id: RunId) {
          const rows = database().prepare('SELECT entry FROM exception WHERE key = ?').all(runKey(id));
          return rows.map(({ entry }) => JSON.parse(String(entry)) as GivenUp);
        },
        async close() {
          for (const journal of executors.keys()) await journal.close();
          beside?.close();
          rmSync(directory, { recursive: true });
        },
      };
    },
  };
}
