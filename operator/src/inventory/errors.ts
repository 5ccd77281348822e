/** No usable answer came from inventory: a write may or may not have been done. Safe to try again, since all its writes are idempotent. */
export class InventoryUnavailable extends Error {
  /** In CamelCase, for conditions: `Unreachable`, `Timeout`, `NotJson`, `Status503`, ... */
  readonly reason: string;

  constructor(reason: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'InventoryUnavailable';
    this.reason = reason;
  }
}

/** Inventory understood the request and will not do it; nothing was changed, and the same request will be refused again. */
export class InventoryRefused extends Error {
  readonly status: number;
  /** As inventory gave it: `UnknownWarehouse`, `ContentChanged`, `NotOnHand`, `BadRequest`, ... */
  readonly reason: string;

  constructor(status: number, reason: string, detail: string) {
    super(detail);
    this.name = 'InventoryRefused';
    this.status = status;
    this.reason = reason;
  }
}

/** Whether inventory says that it does not know the warehouse (yet): register it, or wait for whoever does. */
export function isUnknownWarehouse(error: unknown): error is InventoryRefused {
  return error instanceof InventoryRefused && error.reason === 'UnknownWarehouse';
}
