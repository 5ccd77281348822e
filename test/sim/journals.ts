import { EVENT_KINDS, type EventKind } from './faults.ts';

/** Over which journal a seed plays. */
export type JournalName = 'kubernetes' | 'sqlite' | 'dynamodb';

export const JOURNALS: readonly JournalName[] = ['kubernetes', 'sqlite', 'dynamodb'];

/** Of forty seeds these have the worker journals, the others kubernetes: so that each mutation of mutations.ts has a low seed that notices it. */
const SQLITE: ReadonlySet<number> = new Set([0, 7, 15, 17, 18, 19, 20, 27, 37, 38, 39]);
const DYNAMODB: ReadonlySet<number> = new Set([10, 13, 14, 22, 25, 26, 29, 31, 32, 33, 35]);

export function journalOf(seed: number): JournalName {
  if (SQLITE.has(seed % 40)) return 'sqlite';
  return DYNAMODB.has(seed % 40) ? 'dynamodb' : 'kubernetes';
}

/** What happens to objects of the API server happens to no row and no item. */
const OF_OBJECTS: ReadonlySet<EventKind> = new Set<EventKind>(['status-lost', 'status-edited', 'let-go']);
const OF_WORKERS = EVENT_KINDS.filter((kind) => !OF_OBJECTS.has(kind));

/** What can happen to a world as a whole, by its journal. */
export const EVENTS_OF: Readonly<Record<JournalName, readonly EventKind[]>> = {
  kubernetes: EVENT_KINDS,
  sqlite: OF_WORKERS,
  dynamodb: OF_WORKERS,
};
