import type { Announcement } from '@mercato/operator/journals/worker-journal.ts';

/** Each kind of announcement that there is: one that is added and is not here does not compile, and one that is not here nobody would hear over the bus. */
const ANNOUNCEMENTS: Readonly<Record<Announcement['type'], true>> = {
  held: true,
  resumed: true,
  succeeded: true,
  compensated: true,
  aborted: true,
  refused: true,
};

/** Types of the events by which the operator tells what becomes of runs. */
export const SAGA_EVENTS: readonly string[] = Object.keys(ANNOUNCEMENTS).map((type) => `dev.mercato.saga.${type}`);
