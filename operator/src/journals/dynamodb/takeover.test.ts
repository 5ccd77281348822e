import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../../runtime/clock.ts';
import { runKey } from '../../saga/command.ts';
import { claimAll, DynamoPlace } from '../../testing/dynamo-place.ts';
import { ended, INTENT, newRun } from '../../testing/dynamo-runs.ts';
import { VersionConflict } from '../journal.ts';
import { type ClaimedRun, IncarnationLost, type WorkerJournal } from '../worker-journal.ts';
import { SILENCE_MILLIS } from './lives.ts';

const thrown = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
const names = (claimed: readonly ClaimedRun[]): string[] => claimed.map(({ run }) => run.id.orderId).sort();
const HOUR = 3_600_000;

/** A wall clock that jumps. */
class SkewedClock extends VirtualClock {
  offset = 0;

  override wall(): number {
    return super.wall() + this.offset;
  }
}

describe('A life in the dynamodb journal', function () {
  this.timeout(120_000);
  let clock: SkewedClock;
  let place: DynamoPlace;
  /** Of another machine, that knows nothing of `clock`. */
  let elsewhere: VirtualClock;
  let one: WorkerJournal;
  const { id } = newRun('o-1');

  beforeEach(async () => {
    clock = new SkewedClock();
    elsewhere = new VirtualClock({ epoch: 0 });
    place = await DynamoPlace.create((await sharedDynamoDbLocal()).client, clock);
    one = await place.start('one');
    await one.create(newRun('o-1'));
  });
  afterEach(() => place.close());

  it('lasts while it beats, whatever its wall clock says', async () => {
    const two = await place.start('two', elsewhere);
    for (let second = 0; second < 60; second += 3) {
      await one.beat();
      expect(await two.beat()).to.equal(2);
      elsewhere.advance(3_000);
      clock.offset += 600_000;
    }
    expect(await two.claim(10)).to.deep.equal([]);
    await one.write(id, INTENT, '1');
  });

  it('is over when another sees no beat for long enough, on its own clock', async () => {
    const two = await place.start('two');
    clock.advance(SILENCE_MILLIS - 1);
    expect(await two.beat()).to.equal(2);
    expect(await two.claim(10)).to.deep.equal([]);
    clock.advance(1);
    expect(await two.beat()).to.equal(1);
    const [claimed] = await claimAll(two, 1, clock);
    expect(claimed).to.deep.equal({ run: newRun('o-1'), record: { state: undefined, version: '2' }, died: true });
    expect(await thrown(one.beat())).to.be.instanceOf(IncarnationLost);
  });

  it('is not over for one that looks for the first time', async () => {
    clock.advance(HOUR);
    const two = await place.start('two');
    expect(await two.beat()).to.equal(2);
    await one.beat();
  });

  it('lasts when its beat comes between the look and the word of another', async () => {
    const two = await place.start('two');
    clock.advance(SILENCE_MILLIS);
    let words = 0;
    place.faultsOf(two).plan = async ({ input }) => {
      if (!('UpdateExpression' in input) || input.UpdateExpression !== 'SET #standing = :dead') return undefined;
      words += 1;
      await one.beat();
      return undefined;
    };
    expect(await two.beat()).to.equal(2);
    expect(words).to.equal(1);
    expect(await two.claim(10)).to.deep.equal([]);
  });

  it('that handed over leaves its runs to others at once, and nothing to doubt', async () => {
    const two = await place.start('two');
    const version = await one.write(id, INTENT, '1');
    await one.handOver();
    const [claimed] = await claimAll(two, 1, clock);
    expect(claimed).to.deep.equal({ run: newRun('o-1'), record: { state: INTENT, version: '3' }, died: false });
    expect(await thrown(one.write(id, ended(), version))).to.be.instanceOf(IncarnationLost);
    expect(await thrown(one.create(newRun('o-2')))).to.be.instanceOf(IncarnationLost);
  });

  it('that handed a run over without having written it leaves the doubt that it came with', async () => {
    const two = await place.start('two');
    await place.silence(two);
    await claimAll(two, 1, clock);
    await two.handOver();
    const three = await place.start('three');
    const [claimed] = await claimAll(three, 1, clock);
    expect(claimed?.died).to.equal(true);
    await three.write(id, INTENT, claimed?.record.version ?? '');
    await three.handOver();
    const [again] = await claimAll(await place.start('four'), 1, clock);
    expect(again?.died, 'it was written since').to.equal(false);
  });

  it('that goes on as a zombie writes its run until that is claimed, and never after', async () => {
    // Its write was on its way when it was stopped: its own clock tells it nothing.
    const two = await place.start('two', elsewhere);
    elsewhere.advance(SILENCE_MILLIS);
    expect(await two.beat()).to.equal(1);
    const version = await one.write(id, INTENT, '1');
    const [claimed] = await claimAll(two, 1, elsewhere);
    expect(claimed?.record).to.deep.equal({ state: INTENT, version: '3' });
    for (const any of [claimed?.record.version ?? '', version])
      expect(await thrown(one.write(id, ended(), any))).to.satisfy(
        (error: unknown) => error instanceof VersionConflict || error instanceof IncarnationLost,
      );
    for (const call of [() => one.beat(), () => one.create(newRun('o-2')), () => one.claim(1), () => one.handOver()])
      expect(await thrown(call())).to.be.instanceOf(IncarnationLost);
    await two.write(id, ended(), claimed?.record.version ?? '');
  });

  it('that was silent for too long asks whether it lasts before it writes, creates or claims', async () => {
    const two = await place.start('two');
    await place.silence(two);
    for (const call of [() => one.write(id, INTENT, '1'), () => one.create(newRun('o-2')), () => one.claim(1)])
      expect(await thrown(call())).to.be.instanceOf(IncarnationLost);
    expect(names(await claimAll(two, 1, clock))).to.deep.equal(['o-1']);
    expect(await two.read(id)).to.deep.include({ state: undefined });
    expect(await two.read(newRun('o-2').id)).to.equal(undefined);
  });

  it('that ended while an order was put on record takes no order in, and another finds the run', async () => {
    const two = await place.start('two', elsewhere);
    place.faultsOf(one).plan = async ({ name }) => {
      if (name !== 'PutItem') return undefined;
      elsewhere.advance(SILENCE_MILLIS);
      await two.beat();
      clock.advance(SILENCE_MILLIS);
      return undefined;
    };
    expect(await thrown(one.create(newRun('o-2')))).to.be.instanceOf(IncarnationLost);
    expect(names(await claimAll(two, 2, elsewhere))).to.deep.equal(['o-1', 'o-2']);
  });

  it('has an heir for each run, however many workers want them', async () => {
    const orders = Array.from({ length: 150 }, (_, n) => `many-${n}`);
    await Promise.all(orders.map((order) => one.create(newRun(order))));
    const heirs = await Promise.all(['a', 'b', 'c', 'd'].map((name) => place.start(name)));
    await place.silence(...heirs);
    const got = await Promise.all(
      heirs.map(async (heir) => {
        const mine: string[] = [];
        for (let round = 0; round < 100; round++) {
          const claimed = await heir.claim(10);
          mine.push(...names(claimed));
        }
        return mine;
      }),
    );
    const rest = await Promise.all(heirs.map((heir) => heir.claim(1_000)));
    const all = [...got.flat(), ...rest.flatMap(names)].sort();
    expect(all).to.deep.equal([...orders, 'o-1'].sort());
    for (const [n, mine] of got.entries()) expect(mine.length, `heir ${n}`).to.be.above(0);
  });

  it('is looked through again while an index lags, and until nothing can come any more', async () => {
    const two = await place.start('two');
    const faults = place.faultsOf(two);
    faults.freezeIndexes();
    await place.silence(two);
    for (let minute = 0; minute < 50; minute += 5) {
      expect(await two.claim(10)).to.deep.equal([]);
      expect(await two.unannounced(10)).to.deep.equal([]);
      clock.advance(5 * 60_000);
      await two.beat();
    }
    faults.thawIndexes();
    clock.advance(60_000);
    await two.beat();
    const claimed = await claimAll(two, 1, clock);
    expect(names(claimed)).to.deep.equal(['o-1']);
    // What an index still shows of a run that is taken is nobody's again.
    faults.freezeIndexes();
    clock.advance(1_000);
    await two.beat();
    expect(await two.claim(10)).to.deep.equal([]);
  });

  it('is struck when nothing was found of it for an hour, and then costs nothing', async () => {
    const two = await place.start('two');
    await place.silence(two);
    await claimAll(two, 1, clock);
    for (let minute = 0; minute < 80; minute += 4) {
      clock.advance(4 * 60_000);
      await two.beat();
      await two.unannounced(1);
      expect(await two.claim(10)).to.deep.equal([]);
    }
    const lives = await place.store.query({ of: ['pk', 'lives'], consistent: true });
    expect(lives.items.map((life) => life['sk']?.S?.split('-')[0])).to.deep.equal(['two']);
    const { calls } = place.faultsOf(two);
    clock.advance(HOUR);
    await two.beat();
    calls.length = 0;
    clock.advance(1_000);
    await two.claim(10);
    expect(calls.map(({ name }) => name)).to.deep.equal(['Query']);
  });

  it('that was struck and yet made a run has it found when its order comes again', async () => {
    const two = await place.start('two');
    // A zombie that nobody knows any more: its life is gone, and it has not noticed.
    await place.edit(id, 'SET #owner = :gone, #ownerShard = :shard', {
      ':gone': { S: 'gone-1' },
      ':shard': { S: 'gone-1#0' },
    });
    expect(await two.claim(10)).to.deep.equal([]);
    expect(await two.create(newRun('o-1'))).to.deep.equal({ type: 'Open' });
    const [claimed] = await two.claim(10);
    expect(claimed && runKey(claimed.run.id)).to.equal('shop/checkout/o-1');
    expect(claimed?.died).to.equal(true);
  });

  it('gives no more runs than were asked for', async () => {
    for (const order of ['a', 'b', 'c', 'd', 'e']) await one.create(newRun(order));
    const two = await place.start('two');
    await one.handOver();
    clock.advance(1_000);
    expect(await two.claim(2)).to.have.length(2);
    expect(await two.claim(3)).to.have.length(3);
    expect(await two.claim(3)).to.have.length(1);
  });
});
