declare const warehouseId: unique symbol;
declare const receiptId: unique symbol;

/** A warehouse as inventory knows it: the name of its WarehouseInventory. */
export type WarehouseId = string & { readonly [warehouseId]: true };
/** What a receipt is known by, for ever. At most 128 characters. */
export type ReceiptId = string & { readonly [receiptId]: true };

/** The name of a WarehouseInventory as the id that inventory knows it by; the API server has checked its form. */
export function warehouseIdOf(name: string): WarehouseId {
  return name as WarehouseId;
}

/** Goods of one SKU, in whole units. */
export interface Goods {
  readonly sku: string;
  readonly quantity: number;
}

/** What inventory has to know of a warehouse to source from it. */
export interface WarehouseSettings {
  /** `lat` and `lon` in degrees: both or neither. */
  readonly location: { readonly country: string; readonly lat?: number; readonly lon?: number };
  /** The lowest is preferred. */
  readonly priority: number;
  readonly policy: { readonly safetyStock: number; readonly reorderPoint: number };
  readonly overrides: readonly {
    readonly sku: string;
    readonly safetyStock?: number;
    readonly reorderPoint?: number;
  }[];
}

/** What a warehouse has of one SKU, in whole units. */
export interface StockLine {
  readonly sku: string;
  readonly onHand: number;
  readonly reserved: number;
  readonly committed: number;
  /** What can be promised: never negative, safety stock taken off. */
  readonly available: number;
}

/** Sums over all SKUs of a warehouse. */
export interface StockTotals {
  readonly skus: number;
  readonly onHand: number;
  readonly reserved: number;
  readonly committed: number;
  readonly available: number;
}

/** A warehouse's stock. The lines may be of moments that lie a few milliseconds apart, as they are read page by page. */
export interface Stock {
  readonly lines: readonly StockLine[];
  readonly totals: StockTotals;
}

export type AdjustmentType = 'counted' | 'received' | 'damaged' | 'lost' | 'returned';

/** A correction of the stock, booked once for ever under its id. */
export interface Adjustment {
  readonly adjustmentId: string;
  readonly warehouse: WarehouseId;
  readonly sku: string;
  readonly type: AdjustmentType;
  readonly quantity: number;
  readonly reason: string;
}

/** What came of an adjustment, at the time when it was booked: a repetition is told the same. */
export interface AdjustmentBooked {
  /** On hand. */
  readonly before: number;
  readonly after: number;
  /** Units that are promised to orders and not there any more. */
  readonly shortage: number;
  readonly movement: string;
  /** RFC 3339. */
  readonly appliedAt: string;
}

/** Goods that came in, booked once for ever under their id. */
export interface Receipt {
  readonly receiptId: ReceiptId;
  readonly warehouse: WarehouseId;
  /** The name of the RestockOrder that they came for. */
  readonly restock: string;
  readonly lines: readonly Goods[];
}

/** When a receipt was booked: a repetition is told the same. */
export interface ReceiptBooked {
  /** RFC 3339. */
  readonly receivedAt: string;
}

/**
 * The administration of an inventory service: what warehouses' controllers need of it. Every write may be repeated without another effect. All
 * reject with an {@link InventoryUnavailable} (nobody can say whether it was done; try again) or an {@link InventoryRefused} (it was not done).
 */
export interface Inventory {
  /** Makes the warehouse be there, with these settings. Its stock is not touched. */
  register(warehouse: WarehouseId, settings: WarehouseSettings, signal?: AbortSignal): Promise<void>;
  /** Refused with `UnknownWarehouse` before it was registered. */
  stock(warehouse: WarehouseId, signal?: AbortSignal): Promise<Stock>;
  /** Refused with `ContentChanged` if the id was booked with another content, `NotOnHand` if more would go than is there. */
  adjust(adjustment: Adjustment, signal?: AbortSignal): Promise<AdjustmentBooked>;
  /** Refused with `ContentChanged` if the id was booked with another content. */
  receive(receipt: Receipt, signal?: AbortSignal): Promise<ReceiptBooked>;
}
