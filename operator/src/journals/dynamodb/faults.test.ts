import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../../runtime/clock.ts';
import { type DynamoFault, isWrite } from '../../testing/dynamo-faults.ts';
import { claimAll, DynamoPlace } from '../../testing/dynamo-place.ts';
import { ended, INTENT, newRun } from '../../testing/dynamo-runs.ts';
import { JournalUnavailable, VersionConflict } from '../journal.ts';
import { connect } from './calls.ts';
import { DynamoJournal } from './journal.ts';
import { FENCE_MILLIS } from './lives.ts';

const thrown = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('When DynamoDB fails', function () {
  this.timeout(120_000);
  let clock: VirtualClock;
  let place: DynamoPlace;
  let worker: DynamoJournal;
  const { id } = newRun('o-1');

  beforeEach(async () => {
    clock = new VirtualClock();
    place = await DynamoPlace.create((await sharedDynamoDbLocal()).client, clock);
    worker = await place.start('one');
  });
  afterEach(() => place.close());

  const FAULTS: Readonly<Record<Exclude<DynamoFault, 'refused condition'>, RegExp>> = {
    conflict: /another transaction has the item/,
    throttled: /it is throttled.*ThrottlingException/,
    throughput: /it is throttled.*ProvisionedThroughputExceeded/,
    internal: /Internal server error/,
    unsent: /TimeoutError/,
    'answer lost': /TimeoutError/,
  };
  for (const [fault, message] of Object.entries(FAULTS) as [DynamoFault, RegExp][]) {
    it(`${fault}: every call says so, and goes on when it is over`, async () => {
      await worker.create(newRun('o-1'));
      const calls: readonly (() => Promise<unknown>)[] = [
        () => worker.create(newRun('o-2')),
        () => worker.write(id, INTENT, '1'),
        () => worker.read(id),
        () => worker.beat(),
        () => worker.post(id, { type: 'Cancel', reason: 'enough' }),
        () => worker.mail(),
        () => worker.attention(10),
        () => worker.look(id),
      ];
      for (const call of calls) {
        place.faultsOf(worker).failOnce(fault);
        const error = await thrown(call());
        expect(error).to.be.instanceOf(JournalUnavailable).and.not.instanceOf(VersionConflict);
        expect((error as Error).message)
          .to.match(message)
          .and.to.include(place.table);
        expect((error as Error).cause).to.be.instanceOf(Error);
      }
      expect((await worker.read(id))?.version).to.equal(fault === 'answer lost' ? '2' : '1');
    });
  }

  it('names the table that is missing, and what to do', async () => {
    const aws = (await sharedDynamoDbLocal()).client;
    const journal = new DynamoJournal({
      connection: connect({ aws, timeout: 30_000 }),
      table: 'nowhere',
      retention: { ended: () => 1 },
    });
    expect(await thrown(journal.open()))
      .to.be.instanceOf(JournalUnavailable)
      .with.property('message')
      .that.matches(/table nowhere: there is no such table.*--journal-table/);
    await journal.close();
  });

  describe('at a server', () => {
    let server: Server;
    let requests: number;
    let answer: (response: ServerResponse) => void;
    let journal: DynamoJournal;

    /** What opens a journal there is thrown. @param timeout milliseconds */
    const opening = async (timeout: number): Promise<unknown> => {
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const aws = { ...(await sharedDynamoDbLocal()).client, endpoint };
      journal = new DynamoJournal({
        connection: connect({ aws, timeout }),
        table: 'any',
        retention: { ended: () => 1 },
      });
      return thrown(journal.open());
    };

    beforeEach(async () => {
      requests = 0;
      server = createServer((_request, response) => {
        requests += 1;
        answer(response);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterEach(async () => {
      await journal.close();
      server.closeAllConnections();
      server.close();
    });

    it('that says nothing, a call is given up in time', async () => {
      answer = () => undefined;
      expect(await opening(200)).to.be.instanceOf(JournalUnavailable);
    });

    it('that fails, nothing is repeated: the first may have been done', async () => {
      answer = (response) => void response.writeHead(500).end('{}');
      expect(await opening(30_000)).to.be.instanceOf(JournalUnavailable);
      expect(requests).to.equal(1);
    });
  });

  describe('during a creation', () => {
    for (const fault of ['answer lost', 'unsent', 'internal'] as const) {
      it(`${fault}: whoever creates it again gets the run`, async () => {
        place.faultsOf(worker).failOnce(fault);
        expect(await thrown(worker.create(newRun('o-1')))).to.be.instanceOf(JournalUnavailable);
        expect(await worker.create(newRun('o-1'))).to.deep.equal({ type: 'Created', version: '1' });
        expect(await worker.create(newRun('o-1'))).to.deep.equal({ type: 'Open' });
        expect(await worker.claim(10), 'it is driven already').to.deep.equal([]);
      });

      it(`${fault}: the worker drives the run although its caller does not come again`, async () => {
        place.faultsOf(worker).failOnce(fault);
        await worker.create(newRun('o-1')).catch(() => undefined);
        const [claimed] = await worker.claim(10);
        expect(claimed).to.deep.equal({ run: newRun('o-1'), record: { state: undefined, version: '1' }, died: false });
        expect(await worker.create(newRun('o-1'))).to.deep.equal({ type: 'Open' });
        expect(await worker.claim(10)).to.deep.equal([]);
        await worker.write(id, INTENT, '1');
      });
    }

    it('throttled: nothing is made that nobody asks for again', async () => {
      place.faultsOf(worker).failOnce('throttled');
      await worker.create(newRun('o-1')).catch(() => undefined);
      expect(await worker.claim(10)).to.deep.equal([]);
      expect(await place.item(id)).to.equal(undefined);
    });

    it('the run is found by another when its maker dies before it knows', async () => {
      place.faultsOf(worker).failOnce('answer lost');
      await worker.create(newRun('o-1')).catch(() => undefined);
      const two = await place.start('two');
      await place.silence(two);
      expect(await claimAll(two, 1, clock)).to.have.length(1);
    });
  });

  describe('during a claim', () => {
    for (const fault of ['answer lost', 'unsent', 'throttled'] as const)
      it(`${fault}: the run is claimed once, at the next try`, async () => {
        await worker.create(newRun('o-1'));
        await worker.write(id, INTENT, '1');
        await worker.handOver();
        const two = await place.start('two');
        place.faultsOf(two).failOnce(fault, ({ name }) => name === 'UpdateItem');
        expect(await thrown(two.claim(10))).to.be.instanceOf(JournalUnavailable);
        const [claimed] = await claimAll(two, 1, clock);
        expect(claimed?.record).to.deep.equal({ state: INTENT, version: '3' });
        clock.advance(1_000);
        expect(await two.claim(10)).to.deep.equal([]);
        await two.write(id, ended(), '3');
      });

    it('what was claimed before the failure is not lost', async () => {
      for (let n = 0; n < 30; n++) await worker.create(newRun(`o-${n}`));
      await worker.handOver();
      const two = await place.start('two');
      let updates = 0;
      place.faultsOf(two).plan = ({ name }) => (name === 'UpdateItem' && ++updates === 10 ? 'unsent' : undefined);
      const first = await two.claim(100);
      expect(first.length).to.be.within(1, 29);
      const rest = await claimAll(two, 30 - first.length, clock);
      const names = [...first, ...rest].map(({ run }) => run.id.orderId);
      expect(new Set(names).size).to.equal(30);
    });
  });

  describe('during a write', () => {
    it('the condition that fails because the write was done before is told from another worker', async () => {
      await worker.create(newRun('o-1'));
      place.faultsOf(worker).failOnce('answer lost', isWrite);
      expect(await thrown(worker.write(id, INTENT, '1'))).to.be.instanceOf(JournalUnavailable);
      expect(await thrown(worker.write(id, INTENT, '1'))).to.be.instanceOf(VersionConflict);
      expect(await worker.read(id)).to.deep.equal({ state: INTENT, version: '2' });
      await worker.write(id, ended(), '2');
    });

    it('an attempt that comes late changes nothing', async () => {
      await worker.create(newRun('o-1'));
      const faults = place.faultsOf(worker);
      faults.failOnce('unsent', isWrite);
      await worker.write(id, { ...INTENT, overdue: true }, '1').catch(() => undefined);
      const late = faults.calls.at(-1);
      await worker.write(id, INTENT, '1');
      const { send } = place.faultsOf(await place.start('late'));
      expect(await thrown(send('UpdateItem', late?.input as never))).to.have.property(
        'name',
        'ConditionalCheckFailedException',
      );
      expect(await worker.read(id)).to.deep.equal({ state: INTENT, version: '2' });
    });

    it('leaves no attention behind that an unanswered attempt may have asked for', async () => {
      await worker.create(newRun('o-1'));
      place.faultsOf(worker).failOnce('answer lost', isWrite);
      await worker.write(id, { ...INTENT, overdue: true }, '1').catch(() => undefined);
      await worker.read(id);
      await worker.write(id, INTENT, '2');
      expect(await worker.attention(10)).to.deep.equal({ runs: [], total: 0 });
    });
  });

  describe('while a worker cannot ask whether it lives', () => {
    const isBeat: Parameters<ReturnType<DynamoPlace['faultsOf']>['failOnce']>[1] = ({ input }) =>
      'UpdateExpression' in input && (input.UpdateExpression ?? '').includes('#beats');

    for (const fault of ['throttled', 'unsent'] as const) {
      it(`${fault}: it puts no order on record, and writes nothing`, async () => {
        await worker.create(newRun('o-1'));
        clock.advance(FENCE_MILLIS);
        place.faultsOf(worker).plan = (call) => (isBeat(call) ? fault : undefined);
        expect(await thrown(worker.create(newRun('o-2')))).to.be.instanceOf(JournalUnavailable);
        expect(await thrown(worker.write(id, INTENT, '1'))).to.be.instanceOf(JournalUnavailable);
        expect(await place.item(newRun('o-2').id)).to.equal(undefined);
        place.faultsOf(worker).plan = () => undefined;
        expect(await worker.read(id)).to.deep.equal({ state: undefined, version: '1' });
        expect(await worker.claim(10), 'nobody asks for it again').to.deep.equal([]);
      });

      it(`${fault}: it drives what it put on record meanwhile, when it can`, async () => {
        const faults = place.faultsOf(worker);
        faults.plan = (call) => {
          if (call.name === 'PutItem') clock.advance(FENCE_MILLIS);
          return isBeat(call) ? fault : undefined;
        };
        expect(await thrown(worker.create(newRun('o-1')))).to.be.instanceOf(JournalUnavailable);
        faults.plan = () => undefined;
        const [claimed] = await worker.claim(10);
        expect(claimed?.run.id).to.deep.equal(id);
      });
    }

    it('it keeps what it claimed until it can', async () => {
      await worker.create(newRun('o-1'));
      await worker.handOver();
      const two = await place.start('two');
      clock.advance(FENCE_MILLIS);
      place.faultsOf(two).plan = (call) => (isBeat(call) ? 'throttled' : undefined);
      let failed = 0;
      for (let round = 0; round < 3; round++) await two.claim(10).catch(() => (failed += 1));
      expect(failed).to.equal(3);
      place.faultsOf(two).plan = () => undefined;
      expect(await claimAll(two, 1, clock)).to.have.length(1);
      expect(await two.claim(10)).to.deep.equal([]);
    });
  });

  it('a beat or a hand-over that was not answered is repeated', async () => {
    place.faultsOf(worker).failOnce('answer lost');
    expect(await thrown(worker.beat())).to.be.instanceOf(JournalUnavailable);
    expect(await worker.beat()).to.equal(1);
    place.faultsOf(worker).failOnce('answer lost');
    expect(await thrown(worker.handOver())).to.be.instanceOf(JournalUnavailable);
    await worker.handOver();
  });
});
