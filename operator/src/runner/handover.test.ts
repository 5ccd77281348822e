import { expect } from 'chai';
import type { Participants, SendEffect } from '../participants/participants.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { CONTEXT, revision, success } from '../saga/rehearsal.ts';
import type { Answer, RunId, RunState } from '../saga/types.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { type Adoption, Runner } from './runner.ts';

const { id } = CONTEXT;
const REVISION = revision();

describe('A runner that hands over', () => {
  let clock: VirtualClock;
  let journal: MemoryJournal;
  let sent: { effect: SendEffect; answer: (answer: Answer) => void }[];
  let told: string[];
  let parted: string[];
  let runner: Runner;
  let leads: boolean;

  beforeEach(() => {
    clock = new VirtualClock();
    journal = new MemoryJournal();
    sent = [];
    told = [];
    const participants: Participants = {
      send: (_run, effect) => new Promise((answer) => sent.push({ effect, answer })),
    };
    parted = [];
    const observer = {
      dropped: (_: unknown, why: string) => void told.push(why),
      parted: (run: RunId) => void parted.push(run.orderId),
    };
    leads = true;
    runner = new Runner({ journal, participants, clock, observer, mayAct: () => leads });
  });

  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  };
  const steps = (): string[] => sent.map(({ effect }) => effect.step);
  const state = (): RunState => (journal.records.get('shop/checkout/o-1') as { state: RunState }).state;
  const take = async (from: Adoption['from'], version: string, paused = false): Promise<void> => {
    void runner.adopt({ context: CONTEXT, revision: REVISION, version, from, paused });
    await settle();
  };
  /** A run that this runner has brought to its second step, and whose journal says so. */
  const atSecondStep = async (): Promise<RunState> => {
    await take({ type: 'New' }, journal.create(id));
    sent.at(-1)?.answer(success('reserve'));
    await settle();
    clock.advance(1_000);
    await settle();
    return state();
  };

  for (const end of ['abandon', 'release'] as const) {
    it(`takes no run after ${end}: a reconcile that was under way then would drive it without the lease`, async () => {
      await runner[end]();
      await take({ type: 'New' }, journal.create(id));
      expect(runner.size).to.equal(0);
      expect(steps()).to.deep.equal([]);
    });
  }

  it('neither sends nor writes once its lease is over, although nobody has told it yet', async () => {
    const before = await atSecondStep();
    leads = false;
    sent.at(-1)?.answer(success('pay'));
    await settle();
    clock.advance(60_000);
    await settle();
    expect(steps()).to.deep.equal(['reserve', 'authorise']);
    expect(state()).to.deep.equal(before);
  });

  it('begins nothing once its lease is over', async () => {
    leads = false;
    await take({ type: 'New' }, journal.create(id));
    expect(steps()).to.deep.equal([]);
  });

  it('hands over a part of its runs, and says so; the others go on', async () => {
    const other = { ...id, orderId: 'o-2' };
    await take({ type: 'New' }, journal.create(id));
    void runner.adopt({
      context: { ...CONTEXT, id: other },
      revision: REVISION,
      version: journal.create(other),
      from: { type: 'New' },
    });
    await settle();
    expect(await runner.release(({ orderId }) => orderId === id.orderId)).to.equal(true);
    expect(parted).to.deep.equal([id.orderId]);
    expect(state().steps[0]?.action.state, 'what it knew is durable').to.equal('InFlight');
    expect([runner.size, runner.countOf(id.namespace, id.saga)]).to.deep.equal([1, 1]);
    sent.at(-1)?.answer(success('reserve'));
    await settle();
    expect(steps()).to.deep.equal(['reserve', 'reserve', 'authorise']);
    runner.abandon(({ orderId }) => orderId === other.orderId);
    expect(parted).to.deep.equal([id.orderId, other.orderId]);
    await take(
      { type: 'TakenOver', state: state(), died: false },
      journal.records.get('shop/checkout/o-1')?.version ?? '',
    );
    expect(runner.size, 'it comes back').to.equal(1);
  });

  it('says that what it knows is not durable, where the right to write is lost before', async () => {
    await take({ type: 'New' }, journal.create(id));
    leads = false;
    expect(await runner.release(() => true)).to.equal(false);
    expect(journal.written).to.have.length(0);
    expect(runner.size).to.equal(0);
  });

  it('sends nothing more while it is released, not even a pivot whose intent it just wrote', async () => {
    await take({ type: 'New' }, journal.create(id));
    for (let step = steps().at(-1) ?? ''; step !== 'book'; step = steps().at(-1) ?? '') {
      sent.at(-1)?.answer(success(step));
      await settle();
    }
    journal.faults.push('refused');
    sent.at(-1)?.answer(success('book'));
    await settle();
    const released = runner.release();
    clock.advance(100);
    await released;
    expect(state().pivotIntent).to.equal(true);
    expect(steps().at(-1)).to.equal('book');
  });

  it('counts what it had sent as unknown where another writer took the run from it meanwhile', async () => {
    const early = await atSecondStep();
    sent.at(-1)?.answer(success('authorise'));
    await settle();
    expect(steps().at(-1)).to.equal('commit');
    // Somebody puts an old state back; the step that was sent since is not in it.
    journal.put(id, { state: { ...early, holds: 7 } });
    clock.advance(1_000);
    await settle();
    expect(told).to.deep.equal(['Taken']);
    const found = journal.records.get('shop/checkout/o-1');
    await take({ type: 'TakenOver', state: state(), died: false }, found?.version ?? '');
    expect(
      runner
        .find(id)
        ?.state.steps.map(({ action }) => action.state)
        .slice(0, 4),
    ).to.not.include('Pending');
  });

  it('keeps a run that it adopted paused although its first write was lost', async () => {
    await atSecondStep();
    await runner.release();
    const found = journal.records.get('shop/checkout/o-1');
    runner = new Runner({
      journal,
      participants: { send: () => new Promise(() => undefined) },
      clock,
      observer: { dropped: (_, why) => told.push(why) },
    });
    journal.faults.push('refused');
    await take({ type: 'TakenOver', state: state(), died: false }, found?.version ?? '', true);
    for (let i = 0; i < 3; i++) {
      clock.advance(1_000);
      await settle();
    }
    expect(told).to.deep.equal([]);
    expect(state().paused).to.equal(true);
  });
});
