import type { Instant } from '../units.ts';
import type { CloudEvent } from './outbox.ts';

/** Somebody who is told of events. */
export interface Subscriber {
  /** Address that takes CloudEvents in batched JSON mode; also its name in what is remembered of it and in metrics. */
  readonly url: string;
  /** Under which an outbox that keeps events for each subscriber apart keeps its: it outlives a change of the address. @default url */
  readonly name?: string;
  /** The types that it gets, and no others. @default all */
  readonly types?: readonly string[];
  /** File with the bearer token that it takes, read again for each request because such tokens rotate. @default the relay's own */
  readonly tokenFile?: string | undefined;
  /** Hands events over in another way than HTTP; rejects when it is not known that all were taken, with `NotTaken` where it is known which. @default a POST to `url` */
  readonly send?: (events: readonly CloudEvent[]) => Promise<void>;
}

/** Events that a subscriber is to get next, in an order in which those of one order of the shop keep theirs. */
export interface UnsentEvents {
  readonly events: readonly CloudEvent[];
  /** There are more than the limits let through. */
  readonly more: boolean;
  /** Remembers that the subscriber has them, without those at the places `again`, from 0. Until then they come again. @param again @default none */
  markSent(again?: ReadonlySet<number>): Promise<void>;
}

/** How much is handed out at once. */
export interface UnsentLimits {
  readonly events: number;
  /** Of their JSON; a single event may exceed it. */
  readonly bytes: number;
}

/** What a sweep did: how many events it deleted, and whether there may be more. */
export interface Swept {
  readonly events: number;
  readonly more: boolean;
}

/**
 * Where a {@link Relay} takes events from: an outbox that a service writes in the transaction of each change. One adapter for each kind of store.
 *
 * Nothing is handed out to a subscriber out of its order's sequence, and nothing is lost: what was committed is handed out until it is marked.
 */
export interface OutboxSource {
  /**
   * What the subscriber has not been sent, first what is to come again; undefined when there is nothing.
   * @param resting subjects of which nothing is handed out now, and which hold up no others. @default none
   */
  unsent(
    subscriber: Subscriber,
    limits: UnsentLimits,
    resting?: ReadonlySet<string>,
  ): Promise<UnsentEvents | undefined>;
  /** How many events wait for the subscriber. Costs little however many there are: beyond some thousands it may be a bound. */
  backlog(subscriber: Subscriber): Promise<number>;
  /**
   * Forgets events older than `until` that all of `subscribers` have, and what counts events of orders that were silent since `forgetOrders`:
   * a count must outlive anything that could still happen to its order, since a restarted one would look like old news to consumers.
   */
  sweep(subscribers: readonly Subscriber[], until: Instant, forgetOrders: Instant): Promise<Swept>;
  /** Calls `wake` after each commit that wrote events. A source that cannot tell has none, and is asked from time to time. */
  watch?(wake: () => void): void;
}
