import type { Retention, WorkerJournal } from '../journals/worker-journal.ts';
import type { Options } from '../options.ts';
import type { Clock } from '../runtime/clock.ts';

/** A journal with workers of its own, and how long a silent worker may still act. */
export interface MadeJournal {
  readonly journal: WorkerJournal;
  /** Undefined where nobody else could take its runs. Milliseconds. */
  readonly fenceMillis?: number;
}

/** A dead worker's runs may be taken when it was silent for so long as the journal says; it stops by itself this much earlier. */
const FENCE_MARGIN_MILLIS = 2_000;

/**
 * Makes the journal that was asked for; nothing is opened yet. Each is imported only where it is wanted: an AWS client that nobody uses costs tens of
 * megabytes.
 */
export async function makeJournal(
  { journal, journalPath, journalTable }: Options,
  retention: Retention,
  clock: Clock,
): Promise<MadeJournal> {
  switch (journal) {
    case 'sqlite': {
      const { sqliteJournal } = await import('../journals/sqlite/journal.ts');
      return { journal: sqliteJournal(journalPath, { retention, wall: () => clock.wall() }) };
    }
    case 'dynamodb': {
      const [{ DynamoJournal }, { connect }, { SILENCE_MILLIS }] = await Promise.all([
        import('../journals/dynamodb/journal.ts'),
        import('../journals/dynamodb/calls.ts'),
        import('../journals/dynamodb/lives.ts'),
      ]);
      const made = new DynamoJournal({ connection: connect(), table: journalTable, retention, clock });
      return { journal: made, fenceMillis: SILENCE_MILLIS - FENCE_MARGIN_MILLIS };
    }
    case 'kubernetes':
      throw new Error('the kubernetes journal has no workers of its own');
  }
}
