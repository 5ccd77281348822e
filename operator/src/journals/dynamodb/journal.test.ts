import { sharedDynamoDbLocal, sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../../runtime/clock.ts';
import { CONTEXT } from '../../saga/rehearsal.ts';
import { claimAll, DynamoPlace } from '../../testing/dynamo-place.ts';
import { ended, held, INTENT, newRun, REVISION } from '../../testing/dynamo-runs.ts';
import { JOURNAL_TABLE } from './table.ts';

const DAY = 86_400_000;
const { id } = newRun('o-1');

for (const [emulator, shared] of [
  ['DynamoDB Local', sharedDynamoDbLocal],
  ['MiniStack', sharedMiniStack],
] as const)
  describe(`The dynamodb journal on ${emulator}`, function () {
    this.timeout(120_000);
    let clock: VirtualClock;
    let place: DynamoPlace;

    beforeEach(async () => {
      clock = new VirtualClock();
      const retention = { ended: () => DAY };
      place = await DynamoPlace.create((await shared()).client, clock, retention);
    });
    afterEach(() => place.close());

    it('takes three calls for a run that nothing disturbs, and none to announce its end', async () => {
      const worker = await place.start();
      const { calls } = place.faultsOf(worker);
      calls.length = 0;
      const created = await worker.create(newRun('o-1'));
      expect(created).to.deep.equal({ type: 'Created', version: '1' });
      const version = await worker.write(id, INTENT, '1');
      await worker.write(id, ended(), version);
      const [told] = await worker.unannounced(10);
      expect(told?.announcement).to.deep.include({ id, type: 'succeeded', sequence: 1 });
      await worker.announced([told?.receipt ?? '']);
      expect(await worker.unannounced(10)).to.deep.equal([]);
      expect(calls.map(({ name }) => name)).to.deep.equal(['PutItem', 'UpdateItem', 'UpdateItem']);
    });

    it('leaves nothing of an ended run in an index but its announcement', async () => {
      const worker = await place.start();
      await worker.create(newRun('o-1'));
      await worker.write(id, held(), '1');
      const open = Object.keys((await place.item(id)) ?? {});
      await worker.write(id, ended(1), '2');
      const over = Object.keys((await place.item(id)) ?? {});
      const indexed = (attributes: readonly string[]): string[] =>
        JOURNAL_TABLE.indexes.map((index) => index.partitionKey.name).filter((name) => attributes.includes(name));
      expect(indexed(open)).to.have.members(['ownerShard', 'attentionShard']);
      expect(indexed(over)).to.have.members(['endShard']);
      expect(over).to.include(JOURNAL_TABLE.timeToLive).and.not.to.include('owner');
    });

    it('shows an ended run as long as its saga says, and remembers its order for 35 days', async () => {
      const worker = await place.start();
      await worker.create(newRun('o-1'));
      await worker.write(id, ended(), '1');
      clock.advance(DAY - 1_000);
      expect((await worker.look(id))?.run).to.deep.equal(newRun('o-1'));
      clock.advance(2_000);
      expect(await worker.look(id)).to.equal(undefined);
      await worker.beat();
      expect(await worker.create(newRun('o-1'))).to.deep.equal({ type: 'Ended', outcome: 'Succeeded' });
      expect(await worker.post(id, { type: 'Cancel', reason: 'late' })).to.equal('Ended');
      clock.advance(34 * DAY - 4_000);
      await worker.beat();
      expect((await worker.create(newRun('o-1'))).type).to.equal('Ended');
      clock.advance(10_000);
      await worker.beat();
      expect(await worker.read(id)).to.equal(undefined);
      expect(await worker.post(id, { type: 'Cancel', reason: 'late' })).to.equal('NotFound');
      // DynamoDB deletes within days; until then what has expired is in nobody's way.
      expect(await worker.create(newRun('o-1'))).to.deep.equal({ type: 'Created', version: '1' });
      const item = (await place.item(id)) ?? {};
      expect(item).not.to.have.any.keys('ended', 'expires', 'state', 'announcements', 'endShard');
    });

    it('keeps an ended run for longer than 35 days where its saga wants that', async () => {
      place.close();
      place = await DynamoPlace.create((await shared()).client, clock, { ended: () => 90 * DAY });
      const worker = await place.start();
      await worker.create(newRun('o-1'));
      await worker.write(id, ended(), '1');
      clock.advance(89 * DAY);
      expect(await worker.look(id)).not.to.equal(undefined);
    });

    it('shows what needs a person, the longest first, and only as long as it does', async () => {
      const worker = await place.start();
      for (let n = 0; n < 12; n++) {
        const one = newRun(`o-${n}`).id;
        await worker.create(newRun(`o-${n}`));
        const since = 2_000_000 + ((n * 5) % 12);
        await worker.write(one, n === 0 ? { ...INTENT, overdue: true } : held(1, since), '1');
      }
      await worker.write(newRun('o-1').id, ended(1), '2');
      const reader = place.journal();
      const { runs, total } = await reader.attention(4);
      expect(total).to.equal(11);
      // o-1 was held since ...05 and has ended; o-0 became overdue now.
      expect(runs.map(({ run }) => run.id.orderId)).to.deep.equal(['o-5', 'o-10', 'o-3', 'o-8']);
      const all = (await reader.attention(100)).runs.map(({ run }) => run.id.orderId);
      expect(all).to.have.length(11).and.to.include('o-0').and.not.to.include('o-1');
      expect(all.at(-1), 'overdue since now').to.equal('o-0');
    });

    it('counts the open runs of all living workers, without asking for runs', async () => {
      const [one, two] = [await place.start('one'), await place.start('two')];
      for (const name of ['a', 'b', 'c']) await one.create(newRun(name));
      await two.create(newRun('d'));
      await one.write(newRun('a').id, held(), '1');
      await one.write(newRun('b').id, ended(), '1');
      await one.beat();
      await two.beat();
      clock.advance(3_000);
      const reader = place.journal();
      const counted = [...(await reader.counts())];
      expect(counted).to.deep.equal([['shop/checkout', { active: 2, held: 1 }]]);
      expect([...(await one.counts())]).to.deep.equal(counted);
      await one.write(newRun('c').id, ended(), '1');
      expect([...(await one.counts())], 'its own are counted at once').to.deep.equal([
        ['shop/checkout', { active: 1, held: 1 }],
      ]);
    });

    it('counts what a dead worker left until it is claimed, without asking for runs', async () => {
      const [one, two] = [await place.start('one'), await place.start('two')];
      for (const name of ['a', 'b', 'c']) await one.create(newRun(name));
      await one.write(newRun('a').id, held(), '1');
      await place.silence(two);
      const reader = place.journal();
      const expected = [['shop/checkout', { active: 2, held: 1 }]];
      expect([...(await reader.counts())]).to.deep.equal(expected);
      expect(place.faultsOf(reader).calls.every(({ name }) => name === 'Query')).to.equal(true);
      await claimAll(two, 3, clock);
      await two.beat();
      clock.advance(3_000);
      expect([...(await reader.counts())]).to.deep.equal(expected);
      expect([...(await two.counts())]).to.deep.equal(expected);
    });

    it('keeps a revision once, whoever saves it', async () => {
      const [one, two] = [await place.start('one'), await place.start('two')];
      const { namespace, saga } = CONTEXT.id;
      for (const worker of [one, one, two]) await worker.saveRevision(namespace, saga, REVISION);
      expect(place.faultsOf(one).calls.filter(({ name }) => name === 'PutItem')).to.have.length(2);
      const reader = place.journal();
      expect(await reader.loadRevision(namespace, saga, REVISION.hash)).to.deep.equal(REVISION);
      expect(await reader.loadRevision(namespace, 'other', REVISION.hash)).to.equal(undefined);
    });

    it('reads items as they are, never as they were', async () => {
      const worker = await place.start();
      await worker.create(newRun('o-1'));
      await worker.write(id, held(), '1');
      await worker.post(id, { type: 'Cancel', reason: 'enough' });
      await worker.read(id);
      await worker.look(id);
      await worker.mail();
      await worker.attention(1);
      const reads = place.faultsOf(worker).calls.filter(({ name }) => name.endsWith('GetItem'));
      expect(reads.map(({ name }) => name)).to.deep.equal(['GetItem', 'GetItem', 'BatchGetItem', 'BatchGetItem']);
      for (const { input } of reads) expect(JSON.stringify(input)).to.include('"ConsistentRead":true');
    });

    it('takes a second creation of a run for the first, also in the same moment', async () => {
      const worker = await place.start();
      const both = await Promise.all([worker.create(newRun('o-1')), worker.create(newRun('o-1'))]);
      expect(both.map(({ type }) => type)).to.deep.equal(['Created', 'Open']);
    });
  });
