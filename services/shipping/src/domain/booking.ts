/**
 * One shipment's booking as a value, and what may become of it. Pure: news from the carrier and a wish to cancel go in, the next
 * booking comes out. News that comes late, twice or out of order never moves a booking back.
 */
export interface Booking {
  readonly state: BookingState;
  /** A cancellation was asked for: whatever the carrier still says, this booking must not stand. */
  readonly fenced: boolean;
  readonly refusal?: string;
}

/**
 * requested: sent or about to be, outcome unknown or the carrier still at work; booked: the carrier will come;
 * picked-up: the goods have left; delivered, cancelled, refused: final.
 */
export type BookingState = 'requested' | 'booked' | 'picked-up' | 'delivered' | 'cancelled' | 'refused';

/** What the carrier can tell. */
export type CarrierNews = Exclude<BookingState, 'requested'>;

/** A booking about to be made. */
export const REQUESTED: Booking = { state: 'requested', fenced: false };

const AFTER: Readonly<Record<BookingState, readonly CarrierNews[]>> = {
  requested: ['booked', 'picked-up', 'delivered', 'cancelled', 'refused'],
  booked: ['picked-up', 'delivered', 'cancelled'],
  'picked-up': ['delivered'],
  delivered: [],
  cancelled: [],
  refused: [],
};

/** The booking after news from the carrier; unchanged by news that does not follow from its state. */
export function heard(booking: Booking, news: CarrierNews, refusal?: string): Booking {
  if (!AFTER[booking.state].includes(news)) return booking;
  return { ...booking, state: news, ...(refusal === undefined ? {} : { refusal }) };
}

/** What to do about a wish to cancel. */
export type Cancellation =
  /** Ask the carrier; the booking is fenced from now on. */
  | { readonly do: 'ask'; readonly booking: Booking }
  /** There is nothing to cancel. */
  | { readonly do: 'nothing'; readonly booking: Booking }
  /** The goods have left: no cancellation, a return is another matter. */
  | { readonly do: 'refuse'; readonly reason: 'AlreadyPickedUp' };

/** A booking can be cancelled until it is picked up; one that was refused or cancelled already is. */
export function cancel(booking: Booking): Cancellation {
  switch (booking.state) {
    case 'picked-up':
    case 'delivered':
      return { do: 'refuse', reason: 'AlreadyPickedUp' };
    case 'cancelled':
    case 'refused':
      return { do: 'nothing', booking: { ...booking, fenced: true } };
    case 'requested':
    case 'booked':
      return { do: 'ask', booking: { ...booking, fenced: true } };
  }
}

/** Whether a carrier will, or may yet, come for the goods although nobody wants it to. */
export function isUnwanted(booking: Booking): boolean {
  return booking.fenced && (booking.state === 'requested' || booking.state === 'booked');
}
