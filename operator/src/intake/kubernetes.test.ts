import { expect } from 'chai';
import { configMaps } from '../kube/resource.ts';
import { eventually, TestCluster } from '../testing/cluster.ts';
import { OrderRelay } from '../testing/order-relay.ts';
import { Subscriber } from '../testing/subscriber.ts';
import { REFUSALS } from './refusals.ts';

describe('Intake with the kubernetes journal', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let subscriber: Subscriber;
  let relay: OrderRelay;

  before(async () => {
    cluster = await TestCluster.create();
    subscriber = await Subscriber.start();
    relay = await OrderRelay.of(cluster);
    await cluster.applySaga();
    cluster.allWell();
    await cluster.startOperator(...relay.flags, `--announce-to=${subscriber.url}`);
  });

  after(async () => {
    await cluster.close();
    await subscriber.stop();
  });

  const untilTold = (orderId: string, ...what: string[]) =>
    eventually(
      async () => what.every((each) => subscriber.toldOf(orderId).includes(each)),
      () => `of ${orderId} was told: ${subscriber.toldOf(orderId).join(', ')}`,
    );

  it('makes a run of each order, once, and tells its end', async () => {
    const events = ['a', 'b'].map((order) => relay.placed(order));
    expect(await relay.deliver(events)).to.include({ Begun: 2 });
    expect(await relay.deliver(events)).to.include({ Known: 2 });
    await cluster.untilPhase('a', 'Succeeded');
    await untilTold('a', 'succeeded');
    await untilTold('b', 'succeeded');
    expect(cluster.shop.commandsOf('a')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
  });

  it('goes on with the trace of an order, also in another process, up to what is told of its end', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    cluster.shop.on('book', { status: 202, retryAfter: '0.1' });
    await relay.deliver([relay.placed('traced', { traceparent })]);
    await eventually(
      async () => cluster.shop.commandsOf('traced').includes('book'),
      () => 'it does not begin',
    );
    await cluster.stopOperator();
    cluster.allWell();
    await cluster.startOperator(...relay.flags, `--announce-to=${subscriber.url}`);
    await untilTold('traced', 'succeeded');
    const calls = cluster.shop.calls.filter(({ key }) => key.includes('/traced/'));
    expect(calls.map(({ command }) => command)).to.include.members(['reserve', 'pay', 'book', 'capture']);
    expect(new Set(calls.map((call) => call.traceparent))).to.deep.equal(new Set([traceparent]));
    expect(subscriber.events.find(({ subject }) => subject === 'traced')).to.include({ traceparent });
    const without = cluster.shop.calls.filter(({ key }) => key.includes('/a/'));
    expect(new Set(without.map((call) => call.traceparent))).to.deep.equal(new Set([undefined]));
  });

  it('cancels a run by deleting its object', async () => {
    cluster.shop.on('book', { status: 202, retryAfter: '0.1' });
    await relay.deliver([relay.placed('c')]);
    await eventually(
      async () => cluster.shop.commandsOf('c').includes('book'),
      () => 'it does not begin',
    );
    expect(await relay.deliver([relay.cancel('c')])).to.include({ Cancelled: 1 });
    await cluster.untilGone('c');
    await untilTold('c', 'compensated');
    expect(subscriber.events.find(({ subject }) => subject === 'c')?.data).to.include({ reason: 'Cancelled' });
    cluster.allWell();
  });

  it('puts on record what it can never take, and takes the rest', async () => {
    const card = relay.placed('card', {}, { paymentToken: '4111 1111 1111 1111' });
    const events = [card, relay.placed('d'), { ...relay.placed('e'), type: 'dev.mercato.order.noted' }];
    const before = await cluster.metric('mercato_intake_refused_total', { reason: 'InputInvalid' });
    expect(await relay.deliver(events)).to.include({ Refused: 1, Begun: 1, Ignored: 1 });
    const { data = {} } = await cluster.client.get(configMaps, { namespace: cluster.system, name: REFUSALS });
    const records = Object.values(data).map((text) => JSON.parse(text) as Record<string, string>);
    expect(records).to.have.length(1);
    expect(records[0]).to.include({ subject: 'card', id: 'card/1', reason: 'InputInvalid' });
    expect(JSON.stringify(data)).not.to.contain('4111');
    expect(await cluster.metric('mercato_intake_refused_total', { reason: 'InputInvalid' })).to.equal(before + 1);
    // The same again is the same record.
    await relay.deliver([card]);
    const again = await cluster.client.get(configMaps, { namespace: cluster.system, name: REFUSALS });
    expect(Object.keys(again.data ?? {})).to.have.length(1);
  });

  it('puts on record what is of a namespace that it does not look after, and takes the rest', async () => {
    const elsewhere = { mercatonamespace: cluster.system };
    const cancel = { ...relay.cancel('lost'), ...elsewhere };
    const events = [relay.placed('stray', elsewhere), cancel, relay.placed('of-ours')];
    const before = await cluster.metric('mercato_intake_refused_total', { reason: 'NamespaceNotWatched' });
    expect(await relay.deliver(events)).to.include({ Refused: 2, Begun: 1 });
    const after = await cluster.metric('mercato_intake_refused_total', { reason: 'NamespaceNotWatched' });
    expect((after ?? 0) - (before ?? 0)).to.equal(2);
  });

  it('has a cancel come again whose order it does not know', async () => {
    const answer = await relay.post([relay.cancel('nobody')]);
    expect(answer.status).to.equal(503);
    expect(Number(answer.headers.get('retry-after'))).to.be.greaterThan(0);
    expect(await answer.json()).to.include({ reason: 'Busy' });
    expect(await relay.deliver([relay.cancel('f'), relay.placed('f')])).to.include({ Begun: 1, Cancelled: 1 });
  });

  it('tells again after a restart what it may not have told, and lets objects go only then', async () => {
    cluster.shop.on('pay', {
      status: 422,
      body: { type: 'urn:no', title: 'no', reason: 'No', detail: 'insufficient' },
    });
    subscriber.answers.push(...Array.from({ length: 1_000 }, () => 503));
    await relay.deliver([relay.placed('g')]);
    await cluster.untilPhase('g', 'Compensated');
    await cluster.deleteRun('g');
    await cluster.stopOperator();
    expect(subscriber.toldOf('g')).to.deep.equal([]);
    subscriber.answers.length = 0;
    await cluster.startOperator(...relay.flags, `--announce-to=${subscriber.url}`);
    await untilTold('g', 'compensated');
    await cluster.untilGone('g');
    cluster.allWell();
  });

  it('lets nobody in but whom it was told', async () => {
    const tokenOf = async (name: string, audience: string): Promise<Record<string, string>> => {
      const place = { namespace: cluster.namespace, name };
      const { token } = await cluster.client.createToken(place, { audiences: [audience], expirationSeconds: 600 });
      return { authorization: `Bearer ${token}` };
    };
    await cluster.kubectl('create', 'serviceaccount', 'stranger');
    expect((await relay.post([], { authorization: '' })).status).to.equal(401);
    expect((await relay.post([], { authorization: 'Bearer x.y.z' })).status).to.equal(401);
    expect((await relay.post([], await tokenOf('order', 'order'))).status).to.equal(401);
    expect((await relay.post([], await tokenOf('stranger', 'mercato-operator'))).status).to.equal(403);
    expect((await relay.post([])).status).to.equal(200);
  });
});
