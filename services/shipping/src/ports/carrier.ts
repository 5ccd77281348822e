import type { Address, Line } from '../domain/address.ts';
import type { Reference } from '../domain/reference.ts';

/** The carrier's own id of a booking. Opaque. */
export type CarrierBookingId = string & { readonly __brand: 'CarrierBookingId' };

/**
 * What the shipping service needs of whoever moves the goods. Every call carries our reference: the same reference names the same
 * booking for ever, so a call may be repeated, and `lookup` finds what an answer that was lost has said. No method throws for
 * anything that the other side does: a time-out, a 5xx, HTML or bad JSON is `unknown`.
 */
export interface Carrier {
  /** Asks for a pick-up and a delivery. */
  book(request: BookRequest): Promise<BookOutcome>;
  /** Calls a booking off. Cancelling what is cancelled succeeds again. */
  cancel(request: CancelRequest): Promise<CancelOutcome>;
  /** Where a booking has got to. */
  track(booking: CarrierBookingId): Promise<TrackOutcome>;
  /** What became of the booking of this reference. `absent` is true now; a request on its way may still arrive. */
  lookup(reference: Reference): Promise<BookOutcome | { readonly outcome: 'absent' }>;
}

/** @see Carrier.book */
export interface BookRequest {
  readonly reference: Reference;
  /** `namespace/saga/orderId`: what the carrier's log can be joined on. */
  readonly orderKey: string;
  readonly shipTo: Address;
  readonly lines: readonly Line[];
  /** One parcel is picked up at each. */
  readonly warehouses: readonly string[];
}

/** @see Carrier.cancel */
export interface CancelRequest {
  readonly reference: Reference;
  readonly orderKey: string;
  readonly booking: CarrierBookingId;
}

/** Where a booking stands at the carrier. */
export type CarrierState = 'booked' | 'picked-up' | 'delivered' | 'cancelled';

/** Why a carrier will not come. */
export type CarrierRefusal = 'address_undeliverable' | 'no_service';

/** What asking for a booking came to. `pending`: taken in, not decided; ask again with the same reference. */
export type BookOutcome =
  | {
      readonly outcome: 'booked';
      readonly id: CarrierBookingId;
      readonly carrier: string;
      readonly state: CarrierState;
      readonly trackingCode?: string;
    }
  | { readonly outcome: 'pending'; readonly id: CarrierBookingId; readonly retryAfterMs: number }
  | { readonly outcome: 'refused'; readonly reason: CarrierRefusal; readonly detail: string }
  | { readonly outcome: 'unknown'; readonly detail: string };

/** What calling off came to. */
export type CancelOutcome =
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'refused'; readonly reason: 'already_picked_up' | 'booking_unknown'; readonly detail: string }
  | { readonly outcome: 'unknown'; readonly detail: string };

/** What tracking came to. */
export type TrackOutcome =
  | { readonly outcome: 'tracked'; readonly state: CarrierState }
  | { readonly outcome: 'unknown'; readonly detail: string };
