import { requireBinaries } from '@mercato/controlplane/testing.ts';
import { KILLS, killAtRandom, ordersFor } from './kills.ts';
import { faultSeed, playFaults } from './play.ts';

/** The order service is killed less often: it is not what is under test, but what it loses would be lost for all. */
const ORDER_KILLS = Math.ceil(KILLS / 4);

describe('a shop with the sqlite journal', function () {
  this.timeout(1_200_000);
  before(() => requireBinaries());

  it(`loses nothing when its worker is killed ${KILLS} times, and its order service ${ORDER_KILLS} times`, () => {
    const seed = faultSeed();
    return playFaults({ seed, orders: ordersFor(KILLS + ORDER_KILLS) }, (stage) =>
      killAtRandom(stage, seed, { operator: KILLS, order: ORDER_KILLS }),
    );
  });
});
