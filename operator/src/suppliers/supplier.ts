import type { Milliseconds } from '../api/durations.ts';
import type { Goods } from '../inventory/port.ts';

/** An order as a supplier gets it. */
export interface SupplyOrder {
  /** Names the order for ever, to us and to the supplier: `namespace/name` of the RestockOrder. */
  readonly orderId: string;
  /** As the warehouse's policy calls the supplier. */
  readonly supplier: string;
  readonly lines: readonly Goods[];
  readonly leadTime: Milliseconds;
}

/** What a supplier answers to an order. */
export interface Placed {
  /** What the supplier calls it; at most 128 characters. */
  readonly reference: string;
  /** When all of it should have come, in milliseconds of the wall clock. */
  readonly expectedAt: number;
}

/** An order that a supplier has taken. */
export interface PlacedOrder extends SupplyOrder {
  readonly reference: string;
  /** On the wall clock. */
  readonly orderedAt: number;
}

/** Goods that arrived together. */
export interface Delivery {
  /** From 1, in the order of arrival; the same delivery always has the same. */
  readonly number: number;
  readonly lines: readonly Goods[];
}

/** How far a supplier is with an order. */
export interface Progress {
  /** The goods have left the supplier: it cannot be cancelled any more. */
  readonly shipped: boolean;
  /** What has arrived. */
  readonly deliveries: readonly Delivery[];
  /** Nothing more will come, whether or not all of it came. */
  readonly complete: boolean;
  /** When to ask again, on the wall clock; absent when only the supplier knows. */
  readonly nextAt?: number;
}

/** A supplier gave no usable answer. Nobody can say whether it did what was asked; to ask again does no harm. */
export class SupplierUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SupplierUnavailable';
  }
}

/** Who delivers goods. All may be asked again and answer the same. All reject with a {@link SupplierUnavailable}, and are then asked again later. */
export interface Supplier {
  /** What it is, for people: `simulator`. */
  readonly name: string;
  /** Orders goods, once for each `orderId`. */
  place(order: SupplyOrder, now: number, signal: AbortSignal): Promise<Placed>;
  /** How far it is. A delivery that was once said to have arrived stays in the list, unchanged. */
  progress(order: PlacedOrder, now: number, signal: AbortSignal): Promise<Progress>;
  /** Takes an order back if it can still be. @returns whether nothing of it will come */
  cancel(order: PlacedOrder, now: number, signal: AbortSignal): Promise<boolean>;
}
