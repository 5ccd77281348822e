import { expect } from 'chai';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { Store } from '../../kube/store.ts';
import { shardOf } from '../../sharding/shard.ts';
import { BY_STANDING, Places, standingKeys } from './places.ts';
import { FINALIZER } from './run.ts';

const SHARDS = 4;
const ID = { namespace: 'shop', saga: 'checkout' };

describe('The places of maxActive', () => {
  let runs: Store<OrderSagaRun>;
  let ours: ReadonlySet<number>;
  let driven: number;
  let wall: number;
  let places: Places;
  let number: number;

  beforeEach(() => {
    runs = new Store<OrderSagaRun>({ [BY_STANDING]: standingKeys((id) => shardOf(id, SHARDS)) });
    ours = new Set([0, 1, 2, 3]);
    driven = 0;
    wall = 0;
    number = 0;
    places = new Places({
      runs,
      driven: () => driven,
      shards: SHARDS,
      isOurs: (shard) => ours.has(shard),
      wall: () => wall,
    });
  });

  /** A run of this shard, in the cache. */
  function add(shard: number, phase?: string, begun = phase !== undefined && phase !== 'Pending'): OrderSagaRun {
    let orderId: string;
    do orderId = `o-${number++}`;
    while (shardOf({ ...ID, orderId }, SHARDS) !== shard);
    const run = {
      metadata: {
        namespace: 'shop',
        name: `checkout-${orderId}`,
        resourceVersion: '1',
        ...(begun && { finalizers: [FINALIZER] }),
      },
      spec: { sagaRef: { name: 'checkout' }, orderId, mode: 'Execute', input: {} },
      ...(phase !== undefined && { status: { phase } }),
    } as unknown as OrderSagaRun;
    runs.upsert(run);
    return run;
  }

  it('are all taken by a replica that is alone, held runs apart', () => {
    const run = add(0);
    for (const [phase, isFull] of [
      ['Running', false],
      ['Held', false],
      ['Compensating', true],
    ] as const) {
      add(1, phase);
      driven += 1;
      expect(places.isFull(run, 2), phase).to.equal(isFull);
    }
    expect(places.isFull(run, undefined)).to.equal(false);
  });

  it('count runs on their way to the runner, and those that the cache has yet to show', () => {
    const run = add(0);
    const give = places.take({ ...ID, orderId: 'x' });
    expect(places.isFull(run, 1)).to.equal(true);
    give();
    expect(places.isFull(run, 1)).to.equal(false);
    driven = 1;
    expect(places.isFull(run, 1)).to.equal(true);
  });

  it('are shared by the shards that replicas hold, also by runs that have only just begun elsewhere', () => {
    ours = new Set([0, 1]);
    const run = add(0);
    add(2);
    driven = 1;
    expect(places.isFull(run, 4)).to.equal(false);
    driven = 2;
    expect(places.isFull(run, 4), 'the share is used up').to.equal(true);
    driven = 1;
    for (let n = 0; n < 3; n++) add(3, undefined, true);
    expect(places.isFull(run, 4), 'others have begun three').to.equal(true);
  });

  it('are lent where no other run waits, to runs that have been shown to wait', () => {
    ours = new Set([0, 1]);
    driven = 2;
    expect(places.isFull(add(0), 4), 'others may want it at this moment').to.equal(true);
    const shown = add(0, 'Pending');
    expect(places.isFull(shown, 4)).to.equal(false);
    add(3);
    expect(places.isFull(shown, 4), 'another waits').to.equal(true);
  });

  it('add up to the limit over replicas at every moment, and go round where they do not divide evenly', () => {
    const shares = (limit: number): number[] =>
      [new Set([0, 1]), new Set([2, 3])].map((held) => {
        ours = held;
        let begun = 0;
        const run = add([...held][0] as number);
        for (driven = 0; !places.isFull(run, limit); driven++) begun += 1;
        return begun;
      });
    add(0);
    add(2);
    for (const limit of [1, 2, 3, 7]) expect(shares(limit).reduce((sum, each) => sum + each)).to.equal(limit);
    const turns = [0, 10_000, 20_000, 30_000].map((at) => {
      wall = at;
      return shares(1).join(' ');
    });
    expect(new Set(turns)).to.deep.equal(new Set(['0 1', '1 0']));
  });

  it('that come free go to the run that waits longest, whichever replica gave one back', () => {
    const [first, second] = [add(0), add(0)];
    for (const { metadata, spec } of [first, second]) places.wait({ ...ID, orderId: spec.orderId }, metadata.name);
    const running = add(3, 'Running');
    const ended = { ...running, status: { phase: 'Held' } } as OrderSagaRun;
    const key = 'shop/x' as never;
    expect(places.freedBy({ type: 'updated', key, old: running, object: running })).to.equal(undefined);
    expect(places.freedBy({ type: 'updated', key, old: running, object: ended })?.name).to.equal(first.metadata.name);
    expect(places.freedBy({ type: 'deleted', key, old: running })?.name).to.equal(second.metadata.name);
    expect(places.next(ID)).to.equal(undefined);
  });
});
