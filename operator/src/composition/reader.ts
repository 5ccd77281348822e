import type { WorkerJournal } from '../journals/worker-journal.ts';
import type { Foundation } from './foundation.ts';
import { makeJournal } from './journals.ts';

/** Adds the journal for a process that drives no runs: it is read, and mail is left in it, but no life begins. */
export async function addReader({ options, clock, closers }: Foundation): Promise<WorkerJournal> {
  const { journal } = await makeJournal(options, { ended: () => 0 }, clock);
  closers.push(() => journal.close());
  return journal;
}
