import type { KindDefinition } from './kind.ts';
import { orderSaga } from './ordersaga.ts';
import { orderSagaRun } from './ordersagarun.ts';
import { participant } from './participant.ts';
import { pciBoundary } from './pciboundary.ts';
import { restockOrder } from './restockorder.ts';
import { stockAdjustment } from './stockadjustment.ts';
import { warehouseInventory } from './warehouseinventory.ts';

/** Every kind, in the order in which their CRDs are installed. A new kind is a file and a line here. */
export const kinds: readonly KindDefinition[] = [
  participant,
  orderSaga,
  orderSagaRun,
  warehouseInventory,
  restockOrder,
  stockAdjustment,
  pciBoundary,
];

export * from './clip.ts';
export * from './conditions.ts';
export * from './durations.ts';
export * from './kind.ts';
export * from './money.ts';
export * from './names.ts';
export * from './ordersaga.ts';
export * from './ordersagarun.ts';
export * from './participant.ts';
export * from './pciboundary.ts';
export * from './restockorder.ts';
export * from './stockadjustment.ts';
export * from './warehouseinventory.ts';
