import { expect } from 'chai';
import { OK, TestCluster } from '../../testing/cluster.ts';

describe('an output that a journal cannot keep as it came', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga();
    await cluster.startOperator();
  });
  after(() => cluster.close());
  beforeEach(() => cluster.allWell());

  /** Has the run go on to the end with this output of its first step, and its journal looked at in between. */
  async function goesOn(orderId: string, body: object): Promise<void> {
    cluster.shop.on('reserve', { status: 200, body: { ...body, ...(OK.body as object) } });
    const { promise, resolve } = Promise.withResolvers<void>();
    cluster.shop.on('book', async () => {
      await promise;
      return OK;
    });
    await cluster.applyRun(orderId);
    await cluster.until(orderId, ({ status }) => status?.steps?.[0]?.state === 'Succeeded');
    await cluster.kubectl('annotate', 'ordersagarun', `checkout-${orderId}`, 'note=looked-at');
    await cluster.until(orderId, ({ status }) => status?.observedGeneration !== undefined);
    resolve();
    await cluster.untilPhase(orderId, 'Succeeded');
    expect(cluster.shop.commandsOf(orderId)).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
  }

  it('has members that are null: the API server drops them, and the run is not held for it', () =>
    goesOn('nothing', { trackingUrl: null, nested: { carrier: null, list: [null, { gone: null }] } }));

  it('has half a character: the API server replaces it', () => goesOn('half', { note: 'a\ud83d', '\ud83d': 1 }));

  it('has many small fields: the contract limits its bytes alone', () =>
    goesOn('many', Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`f${i}`, i]))));

  it('has numbers at the edges', () =>
    goesOn('numbers', {
      big: 2 ** 64,
      huge: 1e22,
      small: 1e-7,
      tiny: 5e-324,
      minus: -0,
      exact: 2 ** 53 - 1,
      third: 1 / 3,
    }));
});
