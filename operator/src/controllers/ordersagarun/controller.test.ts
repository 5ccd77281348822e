import { expect } from 'chai';
import { TestCluster } from '../../testing/cluster.ts';

describe('OrderSagaRun controller', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga();
    await cluster.startOperator();
  });
  after(() => cluster.close());

  it('carries an order through its steps to the end', async () => {
    cluster.shop.on('reserve', { status: 200, body: { reservationId: 'r-1' } });
    cluster.shop.on('pay', { status: 200, body: { authorisationId: 'a-1' } });
    await cluster.applyRun('good');
    const run = await cluster.untilPhase('good', 'Succeeded');
    expect(cluster.shop.commandsOf('good')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
    expect(cluster.shop.calls.find(({ command }) => command === 'book')?.body).to.deep.equal({ reservationId: 'r-1' });
    expect(cluster.shop.calls.find(({ command }) => command === 'pay')?.body).to.deep.equal({
      total: 1790,
      paymentToken: 'tok_visa',
    });
    expect(run.status?.conditions?.find(({ type }) => type === 'Succeeded')?.status).to.equal('True');
  });
});
