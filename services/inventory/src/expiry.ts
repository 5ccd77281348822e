import type { Clock, Outbox, Store } from '@mercato/kit';
import { dueReservations, transition } from './rows/reservations.ts';

/** Reservations in one transaction; between two, orders get their turn. */
const perPass = 200;

/**
 * Frees the goods of reservations whose time has run out. Look and change are one transaction, so a commit at the same moment either comes
 * first and is kept, or finds it expired.
 * Returns how many it freed.
 */
export async function expireReservations(store: Store, outbox: Outbox, clock: Clock): Promise<number> {
  let total = 0;
  for (;;) {
    const count = await store.transact((tx) => {
      const now = clock.now();
      const due = dueReservations(tx, now, perPass);
      for (const reservation of due) transition(tx, outbox, reservation, 'expired', ['expired'], now);
      return due.length;
    });
    total += count;
    if (count < perPass) return total;
  }
}
