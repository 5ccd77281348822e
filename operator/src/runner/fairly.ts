/**
 * Runs in the order in which a worker takes them up: first those with which the fewest workers died, those that have not begun last; otherwise as they come.
 *
 * A worker that lives for a second only does not come far. With the same order each time, the same runs would be claimed by each, get no answer in its time,
 * and be held in the end as if it were they who killed it (design rule 7); and a run that does kill its worker would keep all behind it from going on.
 *
 * @param claims with how many workers in a row a run made no progress; undefined where it has not begun
 */
export function fairly<Run>(runs: readonly Run[], claims: (run: Run) => number | undefined): Run[] {
  return runs
    .map((run) => ({ run, rank: claims(run) ?? Number.POSITIVE_INFINITY }))
    .sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank))
    .map(({ run }) => run);
}
