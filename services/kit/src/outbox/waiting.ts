import { after, type Instant, type Milliseconds, minutes } from '../units.ts';
import type { CloudEvent } from './outbox.ts';

/** Orders of one subscriber that wait at once, and events that an outbox lets wait beside its others: then nothing new is sent before some are taken. */
export const MOST_WAITING = 1_000;
/** An order that is not handed out again so long after it was due is somebody else's by now: another replica sends its events. */
const FORGOTTEN = minutes(1);

/** Pauses: the first, which doubles, and the longest. */
export interface Pace {
  readonly first: Milliseconds;
  readonly longest: Milliseconds;
}

/** How long to wait after so many tries before this one. @param asked what was asked for; less is not waited */
export function pauseAfter({ first, longest }: Pace, tries: number, asked = 0): Milliseconds {
  return Math.min(longest, Math.max(asked, first * 2 ** Math.min(tries, 20))) as Milliseconds;
}

/** What came of a delivery. Places are those of the events that were handed out. */
export interface Delivered {
  /** Rising. */
  readonly sent: readonly number[];
  /** Those of `sent` that the subscriber asked to have again. */
  readonly again: readonly number[];
  /** When it wants them. */
  readonly retryAfter: Milliseconds | undefined;
}

/** What is to be remembered of a delivery. */
export interface Settled {
  /** Places of the events that come again: those that are to, those behind them of the same orders, and those that were not sent. */
  readonly again: ReadonlySet<number>;
  /** How many were taken. */
  readonly taken: number;
  /** Nothing was taken of the orders that had not waited before, though some were sent: it is the subscriber that is busy, and not an order. */
  readonly isStalled: boolean;
}

/**
 * The orders that a subscriber could not take now: each waits by itself, longer each time, and holds up no other. What is behind such an event, of its order,
 * waits with it and comes again with it, though it was taken: one that overtook it would make it old news, or, a cancel without its order, be refused.
 *
 * In memory: after a restart they are sent again at once.
 */
export class Waiting {
  readonly #pace: Pace;
  readonly #orders = new Map<string, { readonly tries: number; readonly due: Instant }>();

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** The subjects of the orders of which nothing is to be sent now. */
  resting(now: Instant): ReadonlySet<string> {
    const resting = new Set<string>();
    for (const [subject, { due }] of this.#orders) {
      if (now - due > FORGOTTEN) this.#orders.delete(subject);
      // A clock that was set back prolongs nothing.
      else if (due > now && due - now <= this.#pace.longest) resting.add(subject);
    }
    return resting;
  }

  /** Whether no order more may wait: then only those that do are sent. */
  get isFull(): boolean {
    return this.#orders.size >= MOST_WAITING;
  }

  get size(): number {
    return this.#orders.size;
  }

  /** Places of the events that are to be sent now: those of orders that waited, and of others no more than could wait after it. */
  sendable(events: readonly CloudEvent[]): readonly number[] {
    const fresh = new Set(events.map(({ subject }) => subject).filter((subject) => !this.#orders.has(subject)));
    const late = new Set([...fresh].slice(MOST_WAITING - this.#orders.size));
    return [...events.keys()].filter((place) => !late.has(events[place]!.subject));
  }

  /** Has what is to come again wait, and forgets who was taken. @param now after the delivery */
  settle(events: readonly CloudEvent[], { sent, again, retryAfter }: Delivered, now: Instant): Settled {
    const subjectOf = (place: number): string => events[place]!.subject;
    const [isSent, isRefused] = [new Set(sent), new Set(again)];
    const waits = new Set(again.map(subjectOf));
    const behind = new Set<string>();
    const comesAgain = new Set<number>();
    for (const [place, { subject }] of events.entries()) {
      if (isRefused.has(place)) behind.add(subject);
      if (behind.has(subject) || !isSent.has(place)) comesAgain.add(place);
    }
    const fresh = sent.filter((place) => !this.#orders.has(subjectOf(place)));
    const isStalled = fresh.length > 0 && fresh.every((place) => comesAgain.has(place));
    for (const subject of new Set(sent.map(subjectOf))) {
      if (waits.has(subject)) this.#wait(subject, retryAfter, now);
      else this.#orders.delete(subject);
    }
    return { again: comesAgain, taken: events.length - comesAgain.size, isStalled };
  }

  #wait(subject: string, retryAfter: Milliseconds | undefined, now: Instant): void {
    const tries = this.#orders.get(subject)?.tries ?? 0;
    this.#orders.set(subject, { tries: tries + 1, due: after(now, pauseAfter(this.#pace, tries, retryAfter)) });
  }
}
