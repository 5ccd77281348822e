import { sharedDynamoDbLocal, sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../../runtime/clock.ts';
import { begin } from '../../saga/engine.ts';
import { CONTEXT, INPUT, revision } from '../../saga/rehearsal.ts';
import type { RunState } from '../../saga/types.ts';
import { DynamoPlace } from '../../testing/dynamo-place.ts';
import type { NewRun } from '../worker-journal.ts';

const REVISION = revision();
const INTENT: RunState = { ...begin(REVISION, 1_000_000), pivotIntent: true };
const END: RunState = { ...INTENT, ended: 'Succeeded', finishedAt: 1_000_001 };
const run = (orderId: string): NewRun => ({
  id: { ...CONTEXT.id, orderId },
  input: INPUT,
  revision: REVISION.hash,
  createdAt: 1_000_000,
});

for (const [emulator, shared] of [
  ['DynamoDB Local', sharedDynamoDbLocal],
  ['MiniStack', sharedMiniStack],
] as const)
  describe(`The dynamodb journal on ${emulator}`, function () {
    this.timeout(60_000);
    let clock: VirtualClock;
    let place: DynamoPlace;

    beforeEach(async () => {
      clock = new VirtualClock();
      place = await DynamoPlace.create((await shared()).client, clock);
    });
    afterEach(() => place.close());

    it('takes three calls for a run that nothing disturbs, and none to announce its end', async () => {
      const worker = await place.start();
      const { calls } = place.faultsOf(worker);
      const { id } = run('o-1');
      calls.length = 0;
      const created = await worker.create(run('o-1'));
      expect(created).to.deep.equal({ type: 'Created', version: '1' });
      const version = await worker.write(id, INTENT, '1');
      await worker.write(id, END, version);
      const [told] = await worker.unannounced(10);
      expect(told?.announcement).to.deep.include({ id, type: 'succeeded', sequence: 1 });
      await worker.announced([told?.receipt ?? '']);
      expect(await worker.unannounced(10)).to.deep.equal([]);
      expect(calls.map(({ name }) => name)).to.deep.equal(['PutItem', 'UpdateItem', 'UpdateItem']);
    });

    it('leaves nothing of an ended run in an index but its announcement', async () => {
      const worker = await place.start();
      const { id } = run('o-1');
      await worker.create(run('o-1'));
      await worker.write(id, END, '1');
      const item = (await place.item(id)) ?? {};
      for (const key of ['ownerShard', 'attentionShard', 'mailFor', 'owner'])
        expect(item, key).not.to.have.property(key);
      expect(item).to.have.property('endShard');
      expect(item).to.have.property('expires');
    });
  });
