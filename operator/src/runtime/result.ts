/** What a reconciler wants next. */
export type Result =
  /** All is as wanted, until something changes. */
  | { readonly kind: 'done' }
  /** Look again after so many milliseconds, whatever happens until then. */
  | { readonly kind: 'requeueAfter'; readonly ms: number };

const DONE: Result = { kind: 'done' };

/** All is as wanted, until something changes. */
export function done(): Result {
  return DONE;
}

/** Look again after `ms` milliseconds; 0 is at once, behind the keys that wait. Ends the key's backoff. */
export function requeueAfter(ms: number): Result {
  if (!(ms >= 0)) throw new RangeError(`requeueAfter: a delay cannot be ${ms} ms`);
  return { kind: 'requeueAfter', ms };
}

/** An error that trying again cannot cure: the key waits for a change of its object. Counted apart, never retried. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}

/**
 * Whether an error is a defect of the program and not a state of the world: what Go would call a panic. It is retried like any other (one object
 * must not stop the others) but counted apart, since somebody has to mend the code.
 */
export function isPanic(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  return (
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError ||
    error.name === 'AssertionError'
  );
}
