import type { Clock, Outbox, Store } from '@mercato/kit';

/** What the administrative routes work with. */
export interface AdminPorts {
  readonly store: Store;
  readonly outbox: Outbox;
  readonly clock: Clock;
}
