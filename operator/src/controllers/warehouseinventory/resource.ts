import { warehouseInventory } from '../../api/warehouseinventory.ts';
import { resourceOfKind } from '../../kube/kind.ts';

/** WarehouseInventories as the client addresses them. */
export const warehouseInventories = resourceOfKind(warehouseInventory);
