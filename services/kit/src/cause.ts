import { AsyncLocalStorage } from 'node:async_hooks';
import type { Tracing } from '@mercato/tracing';

/** The span that work under way is part of. */
export interface Cause {
  readonly tracing: Tracing;
  /** Of that span; its trace is kept. */
  readonly traceparent: string;
}

/**
 * Follows promises from a command to the calls that it makes, so that ports to the outside world say what is asked of it and not who watches. Entered
 * for commands of kept traces only: nothing else pays for it.
 */
const causes = new AsyncLocalStorage<Cause>();

/** Does the work as part of a span. */
export const causing = <T>(cause: Cause, work: () => T): T => causes.run(cause, work);

/** What the work at hand is part of; undefined for work of no kept trace. */
export const currentCause = (): Cause | undefined => causes.getStore();
