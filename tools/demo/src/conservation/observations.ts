/** `{namespace}/{saga}/{orderId}`: what every observer's notes are joined on. */
export type OrderKey = string;

/** The client's own log: an order that the API server, or the order service, has taken. */
export interface AcceptedOrder {
  readonly key: OrderKey;
  /** What the customer is to pay, in minor units of `currency`. */
  readonly total: number;
  readonly currency: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

/** What a run gave up on, by a person's decision or because it was let go; also the content of an exception record. */
export interface GivenUp {
  readonly decision: 'Skip' | 'Abort' | 'LetGo';
  readonly kind: 'action' | 'compensation';
  readonly step: string;
}

/** A run as it was last seen. One entry for each run: two entries of one key are two runs of one order. */
export interface ObservedRun {
  readonly key: OrderKey;
  readonly phase: 'Pending' | 'Running' | 'Compensating' | 'Held' | 'Succeeded' | 'Compensated' | 'Aborted';
  readonly givenUp: readonly GivenUp[];
}

/** A line of the acquirer's log, as `GET /log` gives it. */
export interface AcquirerNote {
  readonly operation: 'authorise' | 'capture' | 'void' | 'refund';
  /** Names the operation: the same reference is the same operation. */
  readonly reference: string;
  readonly orderKey: OrderKey;
  /** `repeated`: arrived again, and moved nothing. */
  readonly outcome: 'approved' | 'declined' | 'repeated';
  /** The acquirer's id of what was approved. */
  readonly id?: string;
  /** The authorisation or capture that it was done to. */
  readonly target?: string;
  readonly amount: number;
  readonly currency: string;
  /** Authorisations: when the hold ends by itself, RFC 3339. */
  readonly expiresAt?: string;
}

/** A line of the carrier's log, as `GET /log` gives it. */
export interface CarrierNote {
  readonly operation: 'book' | 'confirm' | 'reject' | 'cancel' | 'pick-up' | 'deliver';
  readonly outcome: 'booked' | 'pending' | 'refused' | 'cancelled' | 'picked-up' | 'delivered' | 'repeated';
  readonly reference: string;
  readonly orderKey: OrderKey;
  /** The carrier's id of the booking; none when it was refused at once. */
  readonly id?: string;
  readonly units?: number;
}

/** What can happen to stock. `adjusted` is the only one whose quantity may be negative. */
export type MovementType =
  | 'received'
  | 'adjusted'
  | 'returned'
  | 'reserved'
  | 'released'
  | 'expired'
  | 'committed'
  | 'uncommitted'
  | 'shipped';

/** One entry of inventory's movement log. */
export interface Movement {
  readonly warehouse: string;
  readonly sku: string;
  readonly type: MovementType;
  readonly quantity: number;
  /** The reservation, adjustment or receipt that it belongs to. */
  readonly reference: string;
}

/** Goods kept for an order. reserved: for a while; committed: until they are shipped. */
export interface Reservation {
  readonly id: string;
  readonly key: OrderKey;
  readonly state: 'reserved' | 'committed' | 'shipped' | 'released' | 'expired';
  readonly parts: readonly { readonly warehouse: string; readonly sku: string; readonly quantity: number }[];
}

/** The counters of one SKU in one warehouse, as inventory says them. */
export interface StockLevel {
  readonly warehouse: string;
  readonly sku: string;
  readonly onHand: number;
  readonly reserved: number;
  readonly committed: number;
}

/** What the order service tells of an order that was placed there, and to whom. */
export interface ToldOrder extends Pick<ObservedRun, 'key' | 'phase'> {
  /** Why, in a word for programs. */
  readonly reason?: string;
  /** Whose order it is. @default not compared */
  readonly customer?: string;
  /** Whether anybody saw it held. @default it was held only if it still is */
  readonly wasHeld?: boolean;
  /** Whether its customer asked for the cancelling. @default false */
  readonly cancelAsked?: boolean;
}

/** What a subscriber of the order service heard, once for each delivery. */
export interface Announcement {
  readonly key: OrderKey;
  /** Rises with each event of an order. */
  readonly sequence: number;
  readonly type: 'held' | 'completed' | 'failed' | 'cancelled';
  readonly customer: string;
  readonly reason?: string;
}

/** Everything that inventory told. */
export interface StockObservation {
  readonly levels: readonly StockLevel[];
  readonly movements: readonly Movement[];
  readonly reservations: readonly Reservation[];
}

/** What all observers saw, once all is quiet. */
export interface Observations {
  /** When the observers were asked, in milliseconds since 1970: what expired before it is not open. */
  readonly at: number;
  readonly accepted: readonly AcceptedOrder[];
  readonly runs: readonly ObservedRun[];
  readonly acquirer: readonly AcquirerNote[];
  readonly carrier: readonly CarrierNote[];
  readonly stock: StockObservation;
  /** The exception records in the operator's namespace. */
  readonly exceptions: readonly (GivenUp & { readonly key: OrderKey })[];
  /** What the order service last told the customers of orders that were placed there; `Running` for what is neither over nor held. @default nobody asked */
  readonly told?: readonly ToldOrder[];
  /** What a subscriber heard, in the order in which it came. @default nobody listened */
  readonly announced?: readonly Announcement[];
  /** The client's own log of adjustments that inventory has confirmed: what each did to on hand. @default not compared */
  readonly broughtIn?: readonly {
    readonly reference: string;
    readonly warehouse: string;
    readonly sku: string;
    readonly quantity: number;
  }[];
  /** The oracle: orders that must end up held, and no others. @default not compared */
  readonly mustBeHeld?: ReadonlySet<OrderKey>;
}

/** Which observer a violation was seen by. */
export type Observer =
  | 'client'
  | 'runs'
  | 'acquirer'
  | 'carrier'
  | 'inventory'
  | 'exception records'
  | 'order service'
  | 'subscriber';

/** Something that was lost, doubled or invented. */
export interface Violation {
  readonly rule: Rule;
  /** @default it concerns no single order */
  readonly order?: OrderKey;
  readonly observer: Observer;
  /** For people: what was seen, and what should have been. */
  readonly sentence: string;
}

/** Every rule of the check. */
export type Rule =
  | 'one-run-per-order'
  | 'run-of-an-order'
  | 'all-end'
  | 'held-as-expected'
  | 'told-as-it-is'
  | 'announced-as-it-is'
  | 'exception-recorded'
  | 'exception-founded'
  | 'effect-of-an-order'
  | 'one-effect-per-operation'
  | 'captured-exactly'
  | 'nothing-in-net'
  | 'no-open-authorisation'
  | 'shipped-exactly'
  | 'nothing-shipped'
  | 'reservation-of-a-live-run'
  | 'goods-set-aside'
  | 'left-as-picked-up'
  | 'counters-as-movements'
  | 'counters-as-reservations'
  | 'no-negative-stock'
  | 'stock-in-equals-stock-out'
  | 'adjusted-once';
