/** Rows of a table that one part of a sweep deletes at most: some 2 ms, in which the process does nothing else. */
export const SWEEP_ROWS = 500;

/**
 * Carries out a sweep, each part a commit of its own, until nothing is due: at whatever rate rows come, what is due at a turn is gone before the next, or
 * the file would grow for ever. Whoever waits is served between two parts.
 *
 * @param part deletes a little, and tells whether there may be more
 * @param signal ends it after the part at hand; the rest is due at the next turn, or in the next process
 */
export async function sweepAll(part: () => Promise<boolean>, signal?: AbortSignal): Promise<void> {
  while (signal?.aborted !== true && (await part()));
}
