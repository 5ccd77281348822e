import { stockAdjustment } from '../../api/stockadjustment.ts';
import { resourceOfKind } from '../../kube/kind.ts';

/** StockAdjustments as the client addresses them. */
export const stockAdjustments = resourceOfKind(stockAdjustment);
