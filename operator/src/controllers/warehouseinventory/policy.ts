import type { StockPolicy, StockPolicyOverride, WarehouseInventorySpec } from '../../api/warehouseinventory.ts';
import type { WarehouseSettings } from '../../inventory/port.ts';

/** The policy that applies to one SKU. */
export interface SkuPolicy {
  readonly safetyStock: number;
  readonly reorderPoint: number;
  /** 0: never ordered. */
  readonly reorderUpTo: number;
  readonly supplier: string | undefined;
  /** A duration, as `3d`. */
  readonly leadTime: string;
  /** Its own override says that it is not ordered, whatever the warehouse does: being low is then no news. */
  readonly soldOff: boolean;
}

/** The policy of each SKU of a warehouse: its override's fields where it has them, the warehouse's where not. */
export function policies(spec: Pick<WarehouseInventorySpec, 'policy' | 'overrides'>): (sku: string) => SkuPolicy {
  const common = merge(spec.policy, undefined);
  const own = new Map(spec.overrides.map((override) => [override.sku, merge(spec.policy, override)]));
  return (sku) => own.get(sku) ?? common;
}

function merge(policy: StockPolicy, override: StockPolicyOverride | undefined): SkuPolicy {
  return {
    safetyStock: override?.safetyStock ?? policy.safetyStock,
    reorderPoint: override?.reorderPoint ?? policy.reorderPoint,
    reorderUpTo: override?.reorderUpTo ?? policy.reorderUpTo,
    supplier: override?.supplier ?? policy.supplier,
    leadTime: override?.leadTime ?? policy.leadTime,
    soldOff: override?.reorderUpTo === 0,
  };
}

/** What inventory has to know of a warehouse. Degrees are said in millionths in a spec, since there are no floats in it. */
export function settingsOf({ location, priority, policy, overrides }: WarehouseInventorySpec): WarehouseSettings {
  const { country, latitudeMicro, longitudeMicro } = location;
  const at =
    latitudeMicro === undefined || longitudeMicro === undefined
      ? {}
      : { lat: latitudeMicro / 1_000_000, lon: longitudeMicro / 1_000_000 };
  return {
    location: { country, ...at },
    priority,
    policy: { safetyStock: policy.safetyStock, reorderPoint: policy.reorderPoint },
    overrides: overrides
      .filter(({ safetyStock, reorderPoint }) => safetyStock !== undefined || reorderPoint !== undefined)
      .map(({ sku, safetyStock, reorderPoint }) => ({
        sku,
        ...(safetyStock === undefined ? {} : { safetyStock }),
        ...(reorderPoint === undefined ? {} : { reorderPoint }),
      })),
  };
}
