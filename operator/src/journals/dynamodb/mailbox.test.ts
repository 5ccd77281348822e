import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../../runtime/clock.ts';
import { claimAll, DynamoPlace } from '../../testing/dynamo-place.ts';
import { ended, held, newRun } from '../../testing/dynamo-runs.ts';
import type { Mail, WorkerJournal } from '../worker-journal.ts';
import { INDEX } from './table.ts';

const cancel = (reason: string): Mail => ({ type: 'Cancel', reason });
const decision = (reason: string): Mail => ({
  type: 'Decision',
  decision: { holdId: '1-x', do: 'Retry', reason, by: 'ann' },
});

describe('Mail in the dynamodb journal', function () {
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

  const mailOf = async (worker: WorkerJournal): Promise<Mail[]> => (await worker.mail()).map(({ mail }) => mail);

  it('comes to whoever drives the run, from a program that is no worker, too', async () => {
    const two = await place.start('two');
    const controllers = place.journal();
    expect(await controllers.post(id, decision('again'))).to.equal('Posted');
    expect(await mailOf(one)).to.deep.equal([decision('again')]);
    expect(await mailOf(two)).to.deep.equal([]);
    expect(await controllers.post(newRun('o-2').id, cancel('x'))).to.equal('NotFound');
  });

  it('goes with the run to its heir, and to the heir of that', async () => {
    await one.post(id, decision('again'));
    const two = await place.start('two');
    await place.silence(two);
    await claimAll(two, 1, clock);
    expect(await mailOf(two)).to.deep.equal([decision('again')]);
    await two.handOver();
    const three = await place.start('three');
    await claimAll(three, 1, clock);
    await three.post(id, cancel('enough'));
    expect(await mailOf(three)).to.have.deep.members([decision('again'), cancel('enough')]);
    await three.settleMail((await three.mail()).map(({ receipt }) => receipt));
    expect(await three.mail()).to.deep.equal([]);
  });

  it('goes with a run that comes to its heir while that asks for its mail', async () => {
    await one.post(id, cancel('enough'));
    const two = await place.start('two');
    await place.silence(two);
    let isAsked = false;
    place.faultsOf(two).plan = async ({ input }) => {
      if (isAsked || !('IndexName' in input) || input.IndexName !== INDEX.mail) return undefined;
      isAsked = true;
      await claimAll(two, 1, clock);
      return undefined;
    };
    await two.mail();
    expect(isAsked).to.equal(true);
    expect(await mailOf(two)).to.deep.equal([cancel('enough')]);
  });

  it('is settled by what it says: a later one of its kind stays', async () => {
    await one.post(id, decision('first'));
    await one.post(id, cancel('enough'));
    const [first, second] = await one.mail();
    expect([first?.mail.type, second?.mail.type]).to.deep.equal(['Decision', 'Cancel']);
    clock.advance(1);
    await one.post(id, decision('second'));
    await one.settleMail([first?.receipt ?? '', second?.receipt ?? '']);
    expect(await mailOf(one)).to.deep.equal([decision('second')]);
  });

  it('leaves the index when all of it is settled, also after a crash between the two', async () => {
    await one.post(id, cancel('enough'));
    const [only] = await one.mail();
    place
      .faultsOf(one)
      .failOnce(
        'unsent',
        ({ input }) => 'UpdateExpression' in input && input.UpdateExpression === 'REMOVE #mailFor, #mailAt',
      );
    await one.settleMail([only?.receipt ?? '']).catch(() => undefined);
    expect(await place.item(id)).to.have.property('mailFor');
    expect(await one.mail()).to.deep.equal([]);
    expect(await place.item(id)).not.to.have.any.keys('mailFor', 'mailAt', 'cancel');
  });

  it('goes with the end of its run: nobody is left who could read it', async () => {
    await one.write(id, held(), '1');
    await one.post(id, cancel('enough'));
    await one.write(id, ended(1), '2');
    expect(await mailOf(one)).to.deep.equal([]);
    expect(await one.post(id, cancel('again'))).to.equal('Ended');
    expect(await place.item(id)).not.to.have.any.keys('cancel', 'mailFor', 'mailAt');
  });

  it('is not shown twice by an index that lags behind its settling', async () => {
    await one.post(id, cancel('enough'));
    const [only] = await one.mail();
    place.faultsOf(one).freezeIndexes();
    await one.settleMail([only?.receipt ?? '']);
    expect(await one.mail()).to.deep.equal([]);
  });
});
