import type { Announcement } from '../journals/worker-journal.ts';
import { excerpt } from '../participants/excerpt.ts';
import type { WallMillis } from '../saga/types.ts';
import { nameOf, ORDER_PLACED, runNamed } from './events.ts';
import type { IntakeRefused } from './intake.ts';

/** Below the sequence of whatever a run says, which begins at 1: should a run of the order begin after all, what it says is news. */
export const REFUSED_SEQUENCE = 0;

const MESSAGE_CHARACTERS = 256;

/** Reasons that say nothing of the order itself. */
const UNTOLD: ReadonlySet<string> = new Set(['TooOld', 'NamespaceNotAllowed']);

/**
 * What is told of an event that was refused for good, so that nobody waits for its order: `dev.mercato.saga.refused`.
 *
 * Undefined where no order is known to wait. An event that names no run is nobody's; a cancel decides nothing; an order that is too old may have had its
 * run, and to call it refused could tell a customer who paid that nothing was charged; one that its sender may not speak of is another's, and goes on.
 * @param at when it was refused
 */
export function refusedAnnouncement(
  event: unknown,
  { reason, message }: IntakeRefused,
  at: WallMillis,
): Announcement | undefined {
  if (nameOf(event).type !== ORDER_PLACED || UNTOLD.has(reason)) return undefined;
  const id = runNamed(event);
  if (id === undefined) return undefined;
  return { id, sequence: REFUSED_SEQUENCE, type: 'refused', at, reason, message: excerpt(message, MESSAGE_CHARACTERS) };
}

/** Tells those who wait for an order that was refused. Rejects where not all of them are known to have heard it: then its event is to come again. */
export type TellRefused = (event: unknown, why: IntakeRefused) => Promise<void>;
