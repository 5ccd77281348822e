import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import { requireBinaries, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { asOrderId } from '@mercato/operator/api/names.ts';
import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { expect } from 'chai';
import { install } from '../local/install.ts';
import { clientOf } from '../local/shop.ts';
import { apiServer, type Counter, type Told } from './counter.ts';
import type { PlannedOrder } from './order.ts';
import { Player } from './player.ts';

const planned = (orderId: string, sku = 'MUG'): PlannedOrder => ({
  orderId: asOrderId(orderId),
  atMs: 0,
  input: {
    customer: 'ada',
    currency: 'GBP',
    lines: [{ sku, quantity: 1, unitPrice: 895 }],
    paymentToken: 'tok_visa',
    shipTo: { country: 'GB' },
  },
});

const PATIENCE_MS = 60_000;

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not so after ${PATIENCE_MS} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('the player', function () {
  this.timeout(180_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let stop: AbortController;

  before(async () => {
    requireBinaries();
    // Its own: one of the tests kills the API server.
    plane = await startControlPlane({ etcdUnsafeNoFsync: true });
    client = await clientOf(plane);
    await install(client);
  });
  after(async () => {
    await client?.transport.close();
    await plane?.stop();
  });
  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'play');
    stop = new AbortController();
  });
  afterEach(() => stop.abort(new Error('the test is over')));

  const playerOf = (orders: readonly PlannedOrder[], dayMs = 1) =>
    new Player({ client, namespace, saga: 'checkout', orders, dayMs });
  const end = (orderId: string, phase: string) =>
    client.patchStatus<OrderSagaRun>(orderSagaRuns, { namespace, name: `checkout-${orderId}` }, {
      status: { phase },
    } as object);

  it('notes what the API server accepted, and what it refused in its words', async () => {
    const player = playerOf([planned('1'), planned('2', '*no sku*')]);
    await player.send(stop.signal);
    expect(player.tally()).to.include({ sent: 2, accepted: 1, refused: 1 });
    expect(player.played.get('checkout-2')?.refusal).to.include('a SKU starts with a letter or digit');
  });

  it('takes an order that is there already for accepted: an earlier try came through, and its answer was lost', async () => {
    await playerOf([planned('1')]).send(stop.signal);
    const again = playerOf([planned('1')]);
    await again.send(stop.signal);
    expect(again.tally()).to.include({ accepted: 1, refused: 0 });
    expect((await client.list(orderSagaRuns, { namespace })).items).to.have.length(1);
  });

  it('watches each run to its end, and remembers it when its object is deleted', async () => {
    const player = playerOf([planned('1'), planned('2')]);
    const watching = player.watch(stop.signal);
    await player.send(stop.signal);
    await until(() => [...player.played.values()].every(({ run }) => run !== undefined));
    expect(player.isQuiet).to.equal(false);
    await end('1', 'Succeeded');
    await end('2', 'Held');
    await until(() => player.isQuiet);
    expect(player.tally().phases).to.include({ Succeeded: 1, Held: 1 });

    await client.patch<OrderSagaRun>(
      orderSagaRuns,
      { namespace, name: 'checkout-1' },
      { metadata: { finalizers: [] } },
    );
    await client.delete(orderSagaRuns, { namespace, name: 'checkout-1' });
    await end('2', 'Running');
    await until(() => !player.isQuiet);
    expect(player.played.get('checkout-1')?.run?.status?.phase).to.equal('Succeeded');
    stop.abort(new Error('seen enough'));
    await watching;
  });

  it('notes runs that it never sent', async () => {
    const player = playerOf([planned('1')]);
    void player.watch(stop.signal);
    await playerOf([planned('stranger')]).send(stop.signal);
    await until(() => player.strangers.has('checkout-stranger'));
    await player.send(stop.signal);
    expect([...player.strangers.keys()]).to.deep.equal(['checkout-stranger']);
  });

  describe('with a counter that gives orders ids of its own', () => {
    const idOf = (orderId: string) => asOrderId(`o-${orderId}`);
    let told: Map<string, Told>;
    let answer: PromiseWithResolvers<void>;
    let player: Player;

    /** Applies what is brought under another id, as the order service and the operator do together, and answers when it is let. */
    beforeEach(() => {
      told = new Map();
      answer = Promise.withResolvers();
      const applied = apiServer(client, namespace, 'checkout');
      const counter: Counter = {
        async bring(order, signal) {
          const brought = await applied.bring({ ...order, orderId: idOf(order.orderId) }, signal);
          await answer.promise;
          return brought;
        },
        told: async (orderId) => told.get(orderId),
      };
      player = new Player({
        client,
        namespace,
        saga: 'checkout',
        orders: [planned('1')],
        dayMs: 1,
        counterOf: () => counter,
      });
    });

    it('knows a run for its own that was there before it knew the id', async () => {
      void player.watch(stop.signal);
      const sending = player.send(stop.signal);
      await until(() => player.strangers.has('checkout-o-1'));
      answer.resolve();
      await sending;
      expect([...player.strangers.keys()]).to.deep.equal([]);
      const [played, ...more] = player.played.values();
      expect(more).to.deep.equal([]);
      expect(played?.orderId).to.equal('o-1');
      expect(played?.run?.metadata.name).to.equal('checkout-o-1');
    });

    it('is quiet only when the customer was told what became of the run', async () => {
      answer.resolve();
      void player.watch(stop.signal);
      await player.send(stop.signal);
      const following = player.follow(stop.signal);
      told.set('o-1', { phase: 'Running' });
      await end('o-1', 'Succeeded');
      await until(() => player.played.get('checkout-o-1')?.phase === 'Succeeded');
      await until(() => player.played.get('checkout-o-1')?.told?.phase === 'Running');
      expect(player.isQuiet).to.equal(false);
      told.set('o-1', { phase: 'Succeeded' });
      await until(() => player.isQuiet);
      stop.abort(new Error('seen enough'));
      await following;
    });
  });

  it('loses no order and sends none twice when the API server is killed under it', async () => {
    const orders = Array.from({ length: 200 }, (_, i) => ({ ...planned(`order-${i}`), atMs: i }));
    const player = playerOf(orders, 2_000);
    void player.watch(stop.signal);
    const sending = player.send(stop.signal);
    await until(() => player.tally().accepted >= 50);
    await plane.killApiServer();
    await plane.startApiServer();
    await sending;
    await until(() => [...player.played.values()].every(({ run }) => run !== undefined));
    expect(player.tally()).to.include({ sent: 200, accepted: 200, refused: 0 });
    expect([...player.played.values()].map(({ uids }) => uids.size)).to.deep.equal(Array(200).fill(1));
    expect((await client.list(orderSagaRuns, { namespace })).items).to.have.length(200);
  });
});
