import { EVENT_KINDS, type EventKind } from './faults.ts';

/** Over which journal a seed plays. */
export type JournalName = 'kubernetes' | 'sqlite';

/** Of twenty seeds these have the sqlite journal: none of those that the mutations of mutations.ts begin with, so that these stay fast. */
const SQLITE: ReadonlySet<number> = new Set([0, 7, 13, 15, 17, 18, 19]);

export function journalOf(seed: number): JournalName {
  return SQLITE.has(seed % 20) ? 'sqlite' : 'kubernetes';
}

/** What happens to objects of the API server happens to no row. */
const OF_OBJECTS: ReadonlySet<EventKind> = new Set<EventKind>(['status-lost', 'status-edited', 'let-go']);

/** What can happen to a world as a whole, by its journal. */
export const EVENTS_OF: Readonly<Record<JournalName, readonly EventKind[]>> = {
  kubernetes: EVENT_KINDS,
  sqlite: EVENT_KINDS.filter((kind) => !OF_OBJECTS.has(kind)),
};
