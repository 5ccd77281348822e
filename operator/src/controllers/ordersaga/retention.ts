import { parseDuration } from '../../api/durations.ts';
import type { OrderSaga } from '../../api/ordersaga.ts';
import type { RunState } from '../../saga/types.ts';

const DEFAULT_TTL = { succeeded: '1h', compensated: '1d', aborted: '7d' } as const;

/** How long a run that ended so can be looked at (`ttlAfterFinished`), in milliseconds; the defaults where its OrderSaga is gone. */
export function keptFor(saga: OrderSaga | undefined, outcome: NonNullable<RunState['ended']>): number {
  const ttl = { ...DEFAULT_TTL, ...saga?.spec.ttlAfterFinished };
  switch (outcome) {
    case 'Succeeded':
      return parseDuration(ttl.succeeded);
    case 'Compensated':
      return parseDuration(ttl.compensated);
    case 'Aborted':
      return parseDuration(ttl.aborted);
  }
}
