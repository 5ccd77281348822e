import { createHash } from 'node:crypto';
import type { CarrierRefusal } from '../ports/carrier.ts';
import { type CarrierScript, ruleOf } from './script.ts';

/**
 * One line of the carrier's log: the truth about goods, whatever anybody was told. `book` and `cancel` carry the caller's
 * reference and are entered once for it; `repeated` marks each further arrival, which changed nothing. The others are the
 * carrier's own doing.
 */
export interface CarrierEntry {
  /** RFC 3339. */
  readonly at: string;
  readonly operation: 'book' | 'confirm' | 'reject' | 'cancel' | 'pick-up' | 'deliver';
  readonly outcome: 'booked' | 'pending' | 'refused' | 'cancelled' | 'picked-up' | 'delivered' | 'repeated';
  readonly reference: string;
  /** `namespace/saga/orderId`. */
  readonly orderKey: string;
  /** The carrier's id of the booking; none when it was refused at once. */
  readonly id?: string;
  readonly reason?: CarrierRefusal | 'already_picked_up' | 'booking_unknown';
  /** Bookings: one parcel for each warehouse. */
  readonly parcels?: number;
  readonly units?: number;
  readonly script?: CarrierScript;
}

/** A booking as the carrier keeps it. */
export interface Consignment {
  readonly id: string;
  readonly reference: string;
  readonly orderKey: string;
  readonly script: CarrierScript | undefined;
  readonly state: 'pending' | 'booked' | 'picked-up' | 'delivered' | 'cancelled' | 'rejected';
  readonly reason?: CarrierRefusal;
  /** When it reached its state, milliseconds since 1970. */
  readonly since: number;
}

/** How long the carrier takes, in milliseconds. */
export interface CarrierTimes {
  /** To decide on a booking that it took in as pending. @default 2000 */
  readonly decideMs: number;
  /** From booking to pick-up. @default 3600000 */
  readonly pickUpMs: number;
  /** From pick-up to delivery. @default 86400000 */
  readonly deliverMs: number;
}

/** @see CarrierTimes */
export const DEFAULT_CARRIER_TIMES: CarrierTimes = { decideMs: 2_000, pickUpMs: 3_600_000, deliverMs: 86_400_000 };

/** A request as the carrier understands it. */
export type Order =
  | {
      readonly operation: 'book';
      readonly reference: string;
      readonly orderKey: string;
      readonly script: CarrierScript | undefined;
      /** From the address alone: a country that is not served. */
      readonly unserved: boolean;
      readonly parcels: number;
      readonly units: number;
    }
  | { readonly operation: 'cancel'; readonly reference: string; readonly orderKey: string; readonly id: string };

/**
 * The carrier's books: a fold over its log, so they are the same after a restart. A reference that it has seen moves nothing.
 * Time passes only in `due`, which gives what happened by itself until then.
 */
export class CarrierLedger {
  readonly #byReference = new Map<string, CarrierEntry>();
  readonly #consignments = new Map<string, Consignment>();
  readonly #queues = {
    decide: new DueQueue('pending'),
    pickUpNow: new DueQueue('booked'),
    pickUp: new DueQueue('booked'),
    deliver: new DueQueue('picked-up'),
  };
  readonly #times: CarrierTimes;

  constructor(times: CarrierTimes) {
    this.#times = times;
  }

  /** The first entry of a reference, or undefined. */
  find(reference: string): CarrierEntry | undefined {
    return this.#byReference.get(reference);
  }

  /** The booking of this id, or undefined. */
  consignment(id: string | undefined): Consignment | undefined {
    return id === undefined ? undefined : this.#consignments.get(id);
  }

  /** What an order comes to now. Throws a CarrierConflict when the reference was used for something else. */
  decide(order: Order, nowMs: number): CarrierEntry {
    const at = new Date(nowMs).toISOString();
    const known = this.#byReference.get(order.reference);
    if (known !== undefined) {
      if (known.operation !== order.operation || known.orderKey !== order.orderKey)
        throw new CarrierConflict(order.reference);
      return { ...known, at, outcome: 'repeated' };
    }
    const { operation, reference, orderKey } = order;
    return operation === 'book'
      ? { at, operation, reference, orderKey, ...this.#decideBooking(order) }
      : { at, operation, reference, orderKey, ...this.#decideCancel(order.id) };
  }

  /** Everything that happened by itself until now, applied. Call it before anything else is decided. */
  due(nowMs: number): CarrierEntry[] {
    const entries: CarrierEntry[] = [];
    for (const queue of Object.values(this.#queues)) {
      for (let id = queue.take(nowMs); id !== undefined; id = queue.take(nowMs)) {
        const entry = this.#next(id, queue.state);
        if (entry === undefined) continue;
        entries.push(entry);
        this.apply(entry);
      }
    }
    return entries;
  }

  /** Enters a decided or a logged entry. Repeats and refusals change nothing but what the reference is known for. */
  apply(entry: CarrierEntry): void {
    if (entry.outcome === 'repeated') return;
    if (entry.operation === 'book' || entry.operation === 'cancel') this.#byReference.set(entry.reference, entry);
    const since = Date.parse(entry.at);
    const { id, reference, orderKey, script } = entry;
    if (id === undefined) return;
    if (entry.operation === 'book') {
      const state = entry.outcome === 'pending' ? 'pending' : 'booked';
      this.#enter({ id, reference, orderKey, script, state, since });
      return;
    }
    const consignment = this.#consignments.get(id);
    if (consignment === undefined || entry.outcome === 'refused') {
      if (consignment !== undefined && entry.operation === 'reject') this.#reject(consignment, entry, since);
      return;
    }
    this.#enter({ ...consignment, state: STATE_OF[entry.operation], since });
  }

  /** Keeps the consignment and says when it is to be looked at again. */
  #enter(consignment: Consignment): void {
    const { id, since, state } = consignment;
    this.#consignments.set(id, consignment);
    if (state === 'pending') this.#queues.decide.put(id, since + this.#times.decideMs);
    if (state === 'picked-up') this.#queues.deliver.put(id, since + this.#times.deliverMs);
    if (state !== 'booked') return;
    if (ruleOf(consignment.script, 'book').pickUpNow) this.#queues.pickUpNow.put(id, since);
    else this.#queues.pickUp.put(id, since + this.#times.pickUpMs);
  }

  #reject(consignment: Consignment, entry: CarrierEntry, since: number): void {
    const reason = entry.reason === 'no_service' ? 'no_service' : 'address_undeliverable';
    this.#enter({ ...consignment, state: 'rejected', since, reason });
  }

  #decideBooking(order: Extract<Order, { operation: 'book' }>) {
    const rule = ruleOf(order.script, 'book');
    const details = {
      parcels: order.parcels,
      units: order.units,
      ...(order.script === undefined ? {} : { script: order.script }),
    };
    if (order.unserved) return { ...details, outcome: 'refused' as const, reason: 'no_service' as const };
    if (rule.pending) return { ...details, outcome: 'pending' as const, id: idOf(order.reference) };
    if (rule.refuse !== undefined) return { ...details, outcome: 'refused' as const, reason: rule.refuse };
    return { ...details, outcome: 'booked' as const, id: idOf(order.reference) };
  }

  #decideCancel(id: string) {
    const consignment = this.#consignments.get(id);
    if (consignment === undefined) return { outcome: 'refused' as const, reason: 'booking_unknown' as const };
    if (consignment.state === 'picked-up' || consignment.state === 'delivered') {
      return { outcome: 'refused' as const, reason: 'already_picked_up' as const, id };
    }
    return { outcome: 'cancelled' as const, id };
  }

  /** What is next for a consignment whose time in a state is over; nothing when it has left that state meanwhile. */
  #next(id: string, waitingIn: Consignment['state']): CarrierEntry | undefined {
    const consignment = this.#consignments.get(id);
    if (consignment?.state !== waitingIn) return undefined;
    const { reference, orderKey, since, script, state } = consignment;
    const rule = ruleOf(script, 'book');
    const after = (delayMs: number) => ({ at: new Date(since + delayMs).toISOString(), reference, orderKey, id });
    switch (state) {
      case 'pending':
        return rule.refuse === undefined
          ? { ...after(this.#times.decideMs), operation: 'confirm', outcome: 'booked' }
          : { ...after(this.#times.decideMs), operation: 'reject', outcome: 'refused', reason: rule.refuse };
      case 'booked':
        return { ...after(rule.pickUpNow ? 0 : this.#times.pickUpMs), operation: 'pick-up', outcome: 'picked-up' };
      case 'picked-up':
        return { ...after(this.#times.deliverMs), operation: 'deliver', outcome: 'delivered' };
      default:
        return undefined;
    }
  }
}

/** Ids by the time at which they are due. Each queue has one delay, so what is put in later is due later: first in, first out. */
class DueQueue {
  /** The state whose end the ids wait for. */
  readonly state: Consignment['state'];
  #items: { readonly id: string; readonly at: number }[] = [];
  #head = 0;

  constructor(state: Consignment['state']) {
    this.state = state;
  }

  put(id: string, at: number): void {
    this.#items.push({ id, at });
  }

  /** The next id that is due, or undefined. */
  take(nowMs: number): string | undefined {
    const first = this.#items[this.#head];
    if (first === undefined || first.at > nowMs) return undefined;
    this.#head += 1;
    if (this.#head > 1_000 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return first.id;
  }
}

const STATE_OF = {
  book: 'booked',
  confirm: 'booked',
  reject: 'rejected',
  cancel: 'cancelled',
  'pick-up': 'picked-up',
  deliver: 'delivered',
} as const satisfies Record<CarrierEntry['operation'], Consignment['state']>;

/** A reference was used again for something else; nothing was done. */
export class CarrierConflict extends Error {
  readonly reference: string;
  constructor(reference: string) {
    super(`reference ${reference} was used for something else`);
    this.name = 'CarrierConflict';
    this.reference = reference;
  }
}

/** Ids are functions of the reference, so that the same run has the same ids. */
function idOf(reference: string): string {
  return `sc_${createHash('sha256').update(`booking\n${reference}`).digest('hex').slice(0, 20)}`;
}
