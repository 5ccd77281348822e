/** How Leases are asked for and written: before all other requests, or those of a take-over would make them late. One that takes longer has failed. */
export const CALL = { timeoutMs: 5_000, urgent: true } as const;

/** Ignores what a write fails with when somebody else's came first. */
export function unless(...expected: readonly ((error: unknown) => boolean)[]): (error: unknown) => void {
  return (error) => {
    if (!expected.some((is) => is(error))) throw error;
  };
}
