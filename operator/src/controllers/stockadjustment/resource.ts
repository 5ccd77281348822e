import { GROUP, VERSION } from '../../api/kind.ts';
import type { StockAdjustment } from '../../api/stockadjustment.ts';
import { type Resource, resource } from '../../kube/resource.ts';

/** StockAdjustments as the client addresses them. */
export const stockAdjustments: Resource<StockAdjustment> = resource({
  group: GROUP,
  version: VERSION,
  kind: 'StockAdjustment',
  plural: 'stockadjustments',
  namespaced: true,
});
