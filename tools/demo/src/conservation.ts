import { checkAnnounced } from './conservation/announced.ts';
import { checkGoods } from './conservation/goods.ts';
import { join } from './conservation/joined.ts';
import { checkMoney } from './conservation/money.ts';
import type { Observations, Violation } from './conservation/observations.ts';
import { checkExceptions, checkRuns, checkTold } from './conservation/runs.ts';
import { checkStock } from './conservation/stock.ts';

export type * from './conservation/observations.ts';

/**
 * The conservation check (docs/concepts/testing.md, "Conservation"): joins what independent observers saw, per order, and says what
 * was lost, doubled or invented. Pure. To be asked once all is quiet: while orders are at work, only `rule`s
 * `one-effect-per-operation` and `no-negative-stock` mean anything.
 *
 * @returns nothing when nothing was lost
 */
export function checkConservation(seen: Observations): Violation[] {
  const orders = join(seen);
  return [
    ...checkRuns(seen, orders.values()),
    ...checkTold(seen, orders),
    ...checkAnnounced(seen),
    ...checkExceptions(seen, orders.values()),
    ...checkMoney(seen, orders.values()),
    ...checkGoods(seen, orders.values()),
    ...checkStock(seen, orders),
  ];
}
