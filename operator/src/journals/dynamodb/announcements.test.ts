import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../../runtime/clock.ts';
import { claimAll, DynamoPlace, untoldAll } from '../../testing/dynamo-place.ts';
import { ended, held, INTENT, newRun, resumed } from '../../testing/dynamo-runs.ts';
import type { WorkerJournal } from '../worker-journal.ts';

/** Announcements as `o-1 held`. */
const told = (written: Awaited<ReturnType<WorkerJournal['unannounced']>>): string[] =>
  written.map(({ announcement: { id, type } }) => `${id.orderId} ${type}`);

describe('Announcements in the dynamodb journal', function () {
  this.timeout(120_000);
  let clock: VirtualClock;
  let place: DynamoPlace;
  let one: WorkerJournal;
  const { id } = newRun('o-1');

  beforeEach(async () => {
    clock = new VirtualClock();
    place = await DynamoPlace.create((await sharedDynamoDbLocal()).client, clock);
    one = await place.start('one');
    await one.create(newRun('o-1'));
  });
  afterEach(() => place.close());

  const end = async (order: string): Promise<void> => {
    await one.create(newRun(order));
    await one.write(newRun(order).id, ended(), '1');
  };
  const tell = async (worker: WorkerJournal, count: number): Promise<void> => {
    const written = await worker.unannounced(count);
    await worker.announced(written.map(({ receipt }) => receipt));
  };

  it('come in the order of their writing, each with what its run was about', async () => {
    const traced = { ...newRun('traced'), traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    await one.create(traced);
    await one.write(id, held(), '1');
    await one.write(traced.id, ended(), '1');
    await one.write(id, resumed(), '2');
    await one.write(id, ended(1), '3');
    const written = await one.unannounced(10);
    expect(told(written)).to.deep.equal(['o-1 held', 'traced succeeded', 'o-1 resumed', 'o-1 succeeded']);
    expect(written.map(({ announcement }) => announcement.sequence)).to.deep.equal([1, 1, 2, 3]);
    expect(written[0]?.announcement).to.include({ reason: 'StepFailed', step: 'capture' });
    expect(written[1]?.announcement).to.include({ traceparent: traced.traceparent });
    expect(told(await one.unannounced(2))).to.have.length(2);
  });

  it('are made once, however often a state is written', async () => {
    await one.write(id, held(), '1');
    await one.write(id, { ...held(), clock: 5 }, '2');
    expect(told(await one.unannounced(10))).to.deep.equal(['o-1 held']);
    await tell(one, 10);
    await one.write(id, { ...held(), clock: 6 }, '3');
    expect(await one.unannounced(10)).to.deep.equal([]);
  });

  it('that a dead worker had told before its last beat are not told again', async () => {
    for (const order of ['a', 'b']) await end(order);
    await tell(one, 10);
    await one.beat();
    for (const order of ['c', 'd']) await end(order);
    // c was told, but no beat said so: it is told once more, and dropped by its sequence.
    await tell(one, 1);
    const two = await place.start('two');
    await place.silence(two);
    const written = await untoldAll(two, 2, clock);
    expect(told(written)).to.have.members(['c succeeded', 'd succeeded']);
    await tell(two, 10);
    clock.advance(120_000);
    await two.beat();
    expect(await two.unannounced(10)).to.deep.equal([]);
  });

  it('wait for no earlier one to be told, and lose none that was not', async () => {
    for (const order of ['a', 'b', 'c']) await end(order);
    const written = await one.unannounced(10);
    await one.announced([written[1]?.receipt ?? '']);
    await one.handOver();
    const two = await place.start('two');
    expect(told(await untoldAll(two, 3, clock))).to.include.members(['a succeeded', 'c succeeded']);
  });

  it('of a worker that is gone are told by one of the others, again after that one is gone, too', async () => {
    const orders = Array.from({ length: 40 }, (_, n) => `many-${n}`);
    for (const order of orders) await end(order);
    await one.handOver();
    const [two, three] = [await place.start('two'), await place.start('three')];
    const [some, others] = await Promise.all([two.unannounced(100), three.unannounced(100)]);
    for (let round = 0; round < 10 && some.length + others.length < 40; round++) {
      clock.advance(1_000);
      await Promise.all([two.unannounced(100), three.unannounced(100)]);
    }
    const all = [...told(await two.unannounced(100)), ...told(await three.unannounced(100))];
    expect(all.sort()).to.deep.equal(orders.map((order) => `${order} succeeded`).sort());
    const left = told(await two.unannounced(100));
    await two.handOver();
    await tell(three, 100);
    const four = await place.start('four');
    expect(told(await untoldAll(four, left.length, clock))).to.have.members(left);
  });

  it('of an open run go with the run', async () => {
    await one.write(id, held(), '1');
    const two = await place.start('two');
    await place.silence(two);
    await claimAll(two, 1, clock);
    expect(told(await two.unannounced(10))).to.deep.equal(['o-1 held']);
  });

  it('of an open run that were told are not told again by its heir, and what comes next is', async () => {
    await one.write(id, held(), '1');
    await tell(one, 10);
    await one.handOver();
    const two = await place.start('two');
    const [claimed] = await claimAll(two, 1, clock);
    expect(await two.unannounced(10)).to.deep.equal([]);
    await two.write(id, ended(1), claimed?.record.version ?? '');
    expect(told(await two.unannounced(10))).to.deep.equal(['o-1 succeeded']);
  });

  it('that were not told when the run ended go with its end', async () => {
    await one.write(id, held(), '1');
    await one.write(id, resumed(), '2');
    await one.write(id, ended(1), '3');
    await one.handOver();
    const two = await place.start('two');
    const written = await untoldAll(two, 3, clock);
    expect(told(written)).to.deep.equal(['o-1 held', 'o-1 resumed', 'o-1 succeeded']);
    // One at a time: the last is not forgotten with the first.
    await two.announced([written[0]?.receipt ?? '']);
    await two.handOver();
    const three = await place.start('three');
    expect(told(await untoldAll(three, 3, clock))).to.include.members(['o-1 resumed', 'o-1 succeeded']);
  });

  it('are found by an heir also while an index lags', async () => {
    await end('a');
    const two = await place.start('two');
    place.faultsOf(two).freezeIndexes();
    await place.silence(two);
    expect(await two.unannounced(10)).to.deep.equal([]);
    place.faultsOf(two).thawIndexes();
    expect(told(await untoldAll(two, 1, clock))).to.deep.equal(['a succeeded']);
  });

  describe('when the write of an end is not answered', () => {
    it('come although nobody reads it again', async () => {
      place.faultsOf(one).failOnce('answer lost');
      await one.write(id, ended(), '1').catch(() => undefined);
      expect(told(await one.unannounced(10))).to.deep.equal(['o-1 succeeded']);
    });

    it('come when the read shows that it happened', async () => {
      place.faultsOf(one).failOnce('answer lost');
      await one.write(id, ended(), '1').catch(() => undefined);
      expect((await one.read(id))?.version).to.equal('2');
      expect(told(await one.unannounced(10))).to.deep.equal(['o-1 succeeded']);
    });

    it('come once when it is written again, because it had not happened', async () => {
      place.faultsOf(one).failOnce('unsent');
      await one.write(id, ended(), '1').catch(() => undefined);
      expect((await one.read(id))?.version).to.equal('1');
      await one.write(id, ended(), '1');
      expect(told(await one.unannounced(10))).to.deep.equal(['o-1 succeeded']);
      await tell(one, 10);
      await one.beat();
      const lives = await place.store.query({ of: ['pk', 'lives'], consistent: true });
      expect(lives.items[0]?.['watermark']?.N, 'nothing is kept for the first attempt').to.equal('3');
    });

    it('come from an heir when the worker dies before it knows', async () => {
      place.faultsOf(one).failOnce('answer lost');
      await one.write(id, ended(), '1').catch(() => undefined);
      await end('a');
      await one.beat();
      const two = await place.start('two');
      await place.silence(two);
      expect(told(await untoldAll(two, 2, clock))).to.have.members(['o-1 succeeded', 'a succeeded']);
    });

    it('hold back no watermark where DynamoDB said that it did nothing', async () => {
      place.faultsOf(one).failOnce('throttled');
      await one.write(id, { ...INTENT, ended: 'Aborted' }, '1').catch(() => undefined);
      await one.beat();
      const lives = await place.store.query({ of: ['pk', 'lives'], consistent: true });
      expect(lives.items[0]?.['watermark']?.N).to.equal('2');
    });
  });

  it('of which the taking over was not answered are told all the same', async () => {
    await end('a');
    await one.handOver();
    const two = await place.start('two');
    place.faultsOf(two).failOnce('answer lost', ({ name }) => name === 'UpdateItem');
    await two.unannounced(10).catch(() => undefined);
    expect(told(await untoldAll(two, 1, clock))).to.deep.equal(['a succeeded']);
  });
});
