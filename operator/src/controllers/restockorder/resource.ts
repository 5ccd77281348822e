import { type RestockOrder, type RestockPhase, restockOrder } from '../../api/restockorder.ts';
import { resourceOfKind } from '../../kube/kind.ts';

/** RestockOrders as the client addresses them. */
export const restockOrders = resourceOfKind(restockOrder);

/** An index of restock orders by their warehouse. */
export const BY_WAREHOUSE = 'warehouse';

/** What {@link BY_WAREHOUSE} files an object under; for StockAdjustments too. */
export function warehouseKeys(object: {
  readonly metadata: { readonly namespace?: string };
  readonly spec: { readonly warehouse: string };
}): string[] {
  return [warehouseKey(object.metadata.namespace ?? '', object.spec.warehouse)];
}

/** How {@link BY_WAREHOUSE} names a warehouse. */
export function warehouseKey(namespace: string, warehouse: string): string {
  return `${namespace}/${warehouse}`;
}

/** Where an order is; one that nobody has looked at yet is proposed. */
export function phaseOf(order: RestockOrder): RestockPhase {
  return order.status?.phase ?? 'Proposed';
}

/** Whether goods may still come of an order. */
export function isOpen(order: RestockOrder): boolean {
  const phase = phaseOf(order);
  return phase !== 'Received' && phase !== 'Rejected' && phase !== 'Cancelled';
}
