import { expect } from 'chai';
import type { Participants, SendEffect } from '../participants/participants.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { businessFailure, CONTEXT, revision, success, unknown } from '../saga/rehearsal.ts';
import type { Answer, RunState } from '../saga/types.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { type Adoption, Runner } from './runner.ts';

const { id } = CONTEXT;
const REVISION = revision();

/** A clock whose wall can jump, as after a wrong NTP answer. */
class JumpingClock extends VirtualClock {
  offset = 0;

  override wall(): number {
    return super.wall() + this.offset;
  }
}

/** Sendings that wait for a test to answer them. */
class Outside implements Participants {
  readonly sent: { effect: SendEffect; answer: (answer: Answer) => void; signal: AbortSignal }[] = [];

  send(_run: unknown, effect: SendEffect, signal: AbortSignal): Promise<Answer> {
    return new Promise((answer) => {
      this.sent.push({ effect, answer, signal });
    });
  }

  get steps(): string[] {
    return this.sent.map(({ effect }) => effect.step);
  }

  /** Answers the last sending. */
  answer(answer: Answer): void {
    this.sent.at(-1)?.answer(answer);
  }
}

describe('Runner', () => {
  let clock: JumpingClock;
  let journal: MemoryJournal;
  let outside: Outside;
  let runner: Runner;
  let told: string[];

  beforeEach(() => {
    clock = new JumpingClock();
    journal = new MemoryJournal();
    outside = new Outside();
    told = [];
    runner = new Runner({
      journal,
      participants: outside,
      clock,
      observer: {
        ended: (_, { ended }) => told.push(`ended ${ended}`),
        dropped: (_, why) => told.push(`dropped ${why}`),
        journalFailed: () => told.push('journal failed'),
      },
    });
  });

  /** Lets everything happen that needs no more time. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  };
  const pass = async (millis: number): Promise<void> => {
    clock.advance(millis);
    await settle();
  };
  const take = (adoption: Adoption): void => void runner.adopt(adoption);
  const begin = async (): Promise<void> => {
    take({ context: CONTEXT, revision: REVISION, version: journal.create(id), from: { type: 'New' } });
    await settle();
  };
  /** Adopts a run and lets it come to this step. */
  const adoptAt = async (step: string): Promise<void> => {
    await begin();
    while (outside.steps.at(-1) !== step) {
      outside.answer(success(outside.steps.at(-1) as string));
      await settle();
    }
  };
  const held = (): RunState | undefined => {
    const found = journal.records.get('shop/checkout/o-1');
    return found !== undefined && 'state' in found ? found.state : undefined;
  };

  it('writes a run that nothing disturbs twice: before the pivot is sent, and at the end', async () => {
    await adoptAt('capture');
    expect(journal.written).to.have.length(1);
    expect(held()?.pivotIntent).to.equal(true);
    expect(held()?.steps[0]?.output).to.deep.equal({ reservationId: 'r-1' });
    outside.answer(success('capture'));
    await settle();
    expect(journal.written).to.have.length(2);
    expect(held()?.ended).to.equal('Succeeded');
    expect(told).to.deep.equal(['ended Succeeded']);
    expect(runner.size).to.equal(0);
    expect(runner.countOf('shop', 'checkout')).to.equal(0);
  });

  it('writes other progress within a second', async () => {
    await adoptAt('authorise');
    expect(held()).to.equal(undefined);
    await pass(1000);
    expect(held()?.steps[0]?.action.state).to.equal('Succeeded');
    expect(held()?.steps[1]?.action.state).to.equal('InFlight');
  });

  it('does not send the pivot before its intent is durable', async () => {
    await adoptAt('book');
    journal.faults.push('refused', 'refused');
    outside.answer(success('book'));
    await settle();
    expect(outside.steps).not.to.include('capture');
    await pass(100);
    expect(outside.steps).not.to.include('capture');
    await pass(200);
    expect(outside.steps.filter((step) => step === 'capture')).to.have.length(1);
    expect(told).to.include('journal failed');
  });

  it('recognises its own write whose answer was lost, and does nothing twice', async () => {
    await adoptAt('book');
    journal.faults.push('answer lost');
    outside.answer(success('book'));
    await settle();
    expect(journal.written).to.have.length(1);
    expect(outside.steps.filter((step) => step === 'capture')).to.have.length(1);
    outside.answer(success('capture'));
    await settle();
    expect(told.at(-1)).to.equal('ended Succeeded');
  });

  it('waits while the journal cannot be read either, and goes on when it can', async () => {
    await adoptAt('book');
    journal.unreadable = true;
    journal.faults.push('answer lost');
    outside.answer(success('book'));
    await settle();
    expect(outside.steps).not.to.include('capture');
    await pass(60_000);
    expect(outside.steps).not.to.include('capture');
    journal.unreadable = false;
    await pass(5_000);
    expect(outside.steps.filter((step) => step === 'capture')).to.have.length(1);
  });

  it('writes again after somebody changed the object but not the journal', async () => {
    await adoptAt('book');
    journal.put(id, { state: undefined });
    outside.answer(success('book'));
    await settle();
    expect(outside.steps.at(-1)).to.equal('capture');
    expect(told).to.deep.equal([]);
  });

  it('stops at once when another worker wrote the run', async () => {
    await adoptAt('book');
    await pass(1000);
    journal.put(id, { state: { ...(held() as RunState), claims: 1 } });
    outside.answer(success('book'));
    await settle();
    expect(told).to.deep.equal(['dropped Taken']);
    expect(runner.size).to.equal(0);
    expect(outside.steps).not.to.include('capture');
    expect(journal.exceptions).to.deep.equal([]);
  });

  it('hears of the end of a pause also when it has not got to its beginning', async () => {
    await adoptAt('book');
    journal.faults.push('refused');
    outside.answer(success('book'));
    await settle();
    runner.pause(id.namespace, id.saga, true);
    runner.pause(id.namespace, id.saga, false);
    await pass(200);
    expect(outside.steps.at(-1)).to.equal('capture');
    outside.answer(success('capture'));
    await settle();
    expect(told.at(-1)).to.equal('ended Succeeded');
  });

  it('records what may be in place when the object is gone', async () => {
    await adoptAt('book');
    journal.records.clear();
    await pass(1000);
    expect(told).to.deep.equal(['dropped Gone']);
    expect(journal.exceptions.map(({ step, decision }) => `${decision} ${step}`)).to.deep.equal([
      'LetGo reserve',
      'LetGo authorise',
      'LetGo commit',
      'LetGo book',
    ]);
    expect(outside.sent.at(-1)?.signal.aborted).to.equal(true);
  });

  it('finds out that the object is gone, also when it hears of it before it hears that its last write was done', async () => {
    await adoptAt('authorise');
    const { write } = journal;
    journal.write = async (...args) => {
      const version = await write.apply(journal, args);
      journal.records.clear();
      runner.rewrite(id);
      journal.write = write;
      return version;
    };
    await pass(1000);
    expect(told, 'the write was done').to.deep.equal([]);
    await pass(1000);
    expect(told).to.deep.equal(['dropped Gone']);
  });

  it('holds a run whose journal somebody wrote over, once, and believes its own memory', async () => {
    await adoptAt('book');
    journal.put(id, { damaged: 'edited' });
    outside.answer(success('book'));
    await settle();
    expect(held()?.hold).to.include({ reason: 'JournalDamaged' });
    expect(held()?.holds, 'one hold').to.equal(1);
    expect(held()?.steps[3]?.action.state).to.equal('Succeeded');
    await pass(10_000);
    expect(held()?.holds).to.equal(1);
  });

  it('keeps to the first hold when it hears of the damage in two ways', async () => {
    await adoptAt('book');
    journal.put(id, { damaged: 'edited' });
    runner.tell(id, { type: 'Damaged', message: 'edited' });
    runner.tell(id, { type: 'Damaged', message: 'edited' });
    await settle();
    await pass(10_000);
    expect(held()?.hold?.reason).to.equal('JournalDamaged');
    expect(held()?.holds).to.equal(1);
  });

  it('records what a person gives up before it says that the run has ended, however often the journal fails', async () => {
    await adoptAt('capture');
    for (let attempt = 0; attempt < 3; attempt++) {
      outside.answer(unknown());
      await settle();
      await pass(60_000);
    }
    const hold = held()?.hold;
    expect(hold?.reason).to.equal('StepFailed');
    runner.tell(id, {
      type: 'Decided',
      decision: { holdId: hold?.id ?? '', do: 'Abort', reason: 'enough', by: 'ann' },
    });
    await settle();
    expect(told.at(-1)).to.equal('ended Aborted');
    expect(journal.exceptions).to.have.length(5);
  });

  it('undoes in reverse order, and sends no compensation before the decision to turn back is durable', async () => {
    await adoptAt('book');
    journal.faults.push('refused');
    outside.answer(businessFailure());
    await settle();
    expect(outside.sent.filter(({ effect }) => effect.kind === 'compensation')).to.deep.equal([]);
    await pass(100);
    while (runner.size > 0) {
      outside.answer({ type: 'Success', output: {} });
      await settle();
    }
    const undone = outside.sent.filter(({ effect }) => effect.kind === 'compensation').map(({ effect }) => effect.step);
    expect(undone).to.deep.equal(['commit', 'authorise', 'reserve']);
  });

  it('makes durable what it knows when it is released, and sends nothing more', async () => {
    await adoptAt('authorise');
    await runner.release();
    expect(held()?.steps[0]?.action.state).to.equal('Succeeded');
    const sent = outside.sent.length;
    outside.answer(success('authorise'));
    await pass(60_000);
    expect(outside.sent).to.have.length(sent);
    expect(clock.pending).to.equal(0);
  });

  it('writes and sends nothing more once it is abandoned', async () => {
    await adoptAt('book');
    runner.abandon();
    expect(outside.sent.at(-1)?.signal.aborted).to.equal(true);
    outside.answer(success('book'));
    await pass(60_000);
    expect(journal.written).to.deep.equal([]);
    expect(outside.steps).not.to.include('capture');
    expect(clock.pending).to.equal(0);
  });

  it('takes a run of which nothing is known for one that may have been driven', async () => {
    const version = journal.create(id);
    const from = { type: 'TakenOver', state: undefined, died: false } as const;
    take({ context: CONTEXT, revision: REVISION, version, from });
    await settle();
    outside.answer(businessFailure());
    await settle();
    while (runner.size > 0) {
      outside.answer({ type: 'Success', output: {} });
      await settle();
    }
    const undone = outside.sent.filter(({ effect }) => effect.kind === 'compensation').map(({ effect }) => effect.step);
    expect(undone).to.deep.equal(['book', 'commit', 'authorise']);
  });

  it('drives a run once, whoever adopts it again', async () => {
    await begin();
    take({ context: CONTEXT, revision: REVISION, version: '1', from: { type: 'New' } });
    await settle();
    expect(outside.steps).to.deep.equal(['reserve']);
    expect(runner.size).to.equal(1);
  });

  for (const [where, offset] of [
    ['forward', 10 * 365 * 86_400_000],
    ['back', -10 * 365 * 86_400_000],
  ] as const) {
    it(`goes on as before when the wall clock jumps ${where}: nothing is undone, nothing comes sooner or later`, async () => {
      await adoptAt('authorise');
      outside.answer(unknown());
      await settle();
      const sent = outside.sent.length;
      clock.offset = offset;
      await pass(1);
      expect(outside.sent, 'the backoff is not over').to.have.length(sent);
      await pass(1000);
      expect(outside.sent).to.have.length(sent + 1);
      await finish();
      expect(told).to.deep.equal(['ended Succeeded']);
      expect(outside.sent.every(({ effect }) => effect.kind === 'action')).to.equal(true);
    });
  }

  /** Lets each sending succeed until the run has ended. */
  async function finish(): Promise<void> {
    while (runner.size > 0) {
      outside.answer(success(outside.steps.at(-1) as string));
      await settle();
    }
  }
});
