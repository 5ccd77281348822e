import { GROUP, VERSION } from '../../api/kind.ts';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
import { type Resource, resource } from '../../kube/resource.ts';

/** WarehouseInventories as the client addresses them. */
export const warehouseInventories: Resource<WarehouseInventory> = resource({
  group: GROUP,
  version: VERSION,
  kind: 'WarehouseInventory',
  plural: 'warehouseinventories',
  namespaced: true,
});
