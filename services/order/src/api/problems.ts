import { ProblemError } from '@mercato/kit';
import { OrdersUnavailable } from '../ports/orders.ts';

/** For the `catch` of a port's promise: says a store that cannot be used as 503; throws everything else as it is. */
export function unavailable(error: unknown): never {
  if (!(error instanceof OrdersUnavailable)) throw error;
  // Whether it was done is not known to us either, and need not be: the repeat finds out.
  throw new ProblemError(503, 'StoreUnavailable', 'orders cannot be stored or read now: send the same again later');
}
