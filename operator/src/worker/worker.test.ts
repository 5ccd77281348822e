import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import type { OrderSaga } from '../api/ordersaga.ts';
import type { Participant } from '../api/participant.ts';
import { IntakeBusy, IntakeRefused } from '../intake/intake.ts';
import { JournalUnavailable } from '../journals/journal.ts';
import { InProcess } from '../journals/sqlite/in-process.ts';
import { SqliteJournal } from '../journals/sqlite/journal.ts';
import { openFile } from '../journals/sqlite/schema.ts';
import { IncarnationLost, type WorkerJournal } from '../journals/worker-journal.ts';
import type { Change } from '../kube/store.ts';
import type { Participants, SendEffect } from '../participants/participants.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/logger.ts';
import { INPUT } from '../saga/rehearsal.ts';
import type { Answer, RunId } from '../saga/types.ts';
import { type Declared, Definitions } from './definitions.ts';
import { JournalIntake } from './journal-intake.ts';
import { workerMetrics } from './metrics.ts';
import { Worker } from './worker.ts';

/** Objects of a kind as a cache shows them, that a test changes. */
class Objects<T extends OrderSaga | Participant> implements Declared<T> {
  readonly #objects = new Map<string, T>();
  readonly #listeners: ((change: Change<T>) => void)[] = [];

  set(object: T): void {
    this.#objects.set(object.metadata.name, object);
    for (const listener of this.#listeners) listener({ type: 'updated', object } as Change<T>);
  }
  delete(name: string): void {
    const old = this.#objects.get(name);
    this.#objects.delete(name);
    for (const listener of this.#listeners) listener({ type: 'deleted', old } as Change<T>);
  }
  get(_namespace: string, name: string): T | undefined {
    return this.#objects.get(name);
  }
  values(): IterableIterator<T> {
    return this.#objects.values();
  }
  onChange(listener: (change: Change<T>) => void): () => void {
    this.#listeners.push(listener);
    return () => undefined;
  }
}

/** Commands that wait for a test to answer them. */
class Outside implements Participants {
  readonly sent: { readonly order: string; readonly effect: SendEffect; readonly answer: (answer: Answer) => void }[] =
    [];

  send(run: RunId, effect: SendEffect): Promise<Answer> {
    return new Promise((answer) => this.sent.push({ order: run.orderId, effect, answer }));
  }
  /** `order step` of each command, in order. */
  get commands(): string[] {
    return this.sent.map(
      ({ order, effect }) => `${order} ${effect.kind === 'action' ? effect.step : `undo ${effect.step}`}`,
    );
  }
  answer(order: string, answer: Answer = { type: 'Success', output: {} }): void {
    this.sent.findLast((each) => each.order === order)?.answer(answer);
  }
}

const SHOP = {
  metadata: { namespace: 'shop', name: 'shop' },
  spec: { commands: [{ name: 'pay' }, { name: 'capture' }, { name: 'void' }] },
} as unknown as Participant;

const sagaOf = (changes: object = {}): OrderSaga => {
  const retry = {
    maxAttempts: 1,
    initialInterval: '20ms',
    maxInterval: '100ms',
    backoffPercent: 200,
    jitterPercent: 0,
  };
  const step = { participant: 'shop', timeout: '2s', retry, uses: [], pivot: false };
  const steps = [
    { ...step, name: 'pay', command: 'pay', compensation: 'void' },
    { ...step, name: 'capture', command: 'capture', pivot: true },
  ];
  return {
    metadata: { namespace: 'shop', name: 'checkout', generation: 1 },
    spec: { steps, deadline: '1h', onStepFailure: 'Hold', visibility: 'OnAttention', ...changes },
  } as unknown as OrderSaga;
};

describe('A worker', () => {
  let directory: string;
  let clock: VirtualClock;
  let sagas: Objects<OrderSaga>;
  let outside: Outside;
  const running: Life[] = [];

  interface Life {
    readonly worker: Worker;
    readonly journal: WorkerJournal;
    readonly intake: JournalIntake;
    readonly registry: Registry;
    readonly ended: Promise<void>;
    stop(): Promise<void>;
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-worker-'));
    clock = new VirtualClock();
    sagas = new Objects();
    sagas.set(sagaOf());
    outside = new Outside();
  });
  afterEach(async () => {
    for (const life of running.splice(0)) await life.stop().catch(() => undefined);
    rmSync(directory, { recursive: true, force: true });
  });

  /** Lets time pass until it is so. */
  const until = async (what: string, isSo: () => boolean | Promise<boolean>, step = 50): Promise<void> => {
    for (let turn = 0; turn < 2_000; turn++) {
      if (await isSo()) return;
      await new Promise((resolve) => setImmediate(resolve));
      if (turn % 5 === 4) clock.advance(step);
    }
    throw new Error(`never: ${what}; sent ${outside.commands.join(', ')}`);
  };

  const start = (more: { maxInWork?: number; fenceMillis?: number; faults?: Partial<WorkerJournal> } = {}): Life => {
    const file = join(directory, 'journal.db');
    const real = new SqliteJournal({
      executor: new InProcess(() => openFile(file)),
      retention: { ended: () => 60_000 },
      wall: () => clock.wall(),
      defer: (flush) => void setImmediate(flush),
    });
    const { faults = {}, maxInWork = 100, fenceMillis } = more;
    // Faults come between the worker and the real journal.
    const journal = new Proxy<WorkerJournal>(real, {
      get(target, name) {
        const found = (faults as Record<PropertyKey, unknown>)[name] ?? Reflect.get(target, name);
        return typeof found === 'function' ? found.bind(target) : found;
      },
    });
    const participants = new Objects<Participant>();
    participants.set(SHOP);
    const definitions = new Definitions({ sagas, participants, journal });
    const registry = new Registry();
    const worker = new Worker({
      journal,
      participants: outside,
      definitions,
      observer: {},
      clock,
      logger: silentLogger,
      maxInWork,
      ...(fenceMillis === undefined ? {} : { fenceMillis }),
      metrics: (sight) => workerMetrics(registry, sight),
    });
    const intake = new JournalIntake({ worker, journal, definitions, clock, namespaces: ['shop'] });
    const stopping = new AbortController();
    const ended = worker.start(stopping.signal);
    ended.catch(() => undefined);
    const life: Life = {
      worker,
      journal,
      intake,
      registry,
      ended,
      stop: async () => {
        stopping.abort();
        let isOver = false;
        const over = ended.finally(() => {
          isOver = true;
        });
        over.catch(() => undefined);
        await until('it stops', () => isOver);
        await over;
      },
    };
    running.push(life);
    return life;
  };
  const started = async (...args: Parameters<typeof start>): Promise<Life> => {
    const life = start(...args);
    await life.worker.opened(new AbortController().signal);
    return life;
  };

  const idOf = (orderId: string): RunId => ({ namespace: 'shop', saga: 'checkout', orderId });
  const take = (life: Life, orderId: string, more: { traceparent?: string } = {}) =>
    life.intake.take({ id: idOf(orderId), input: INPUT, placedAt: clock.wall(), ...more });
  const metric = async (life: Life, line: string): Promise<number> =>
    Number(new RegExp(`^${line.replace(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(await life.registry.metrics())?.[1]);
  const outcome = async (life: Life, orderId: string): Promise<string | undefined> => {
    const record = (await life.journal.look(idOf(orderId)))?.record;
    return record !== undefined && 'state' in record ? record.state?.ended : undefined;
  };

  it('takes an order once, and brings it to its end', async () => {
    const life = await started();
    expect(await take(life, 'a')).to.equal('Begun');
    expect(await take(life, 'a')).to.equal('Known');
    outside.answer('a');
    await until('capture', () => outside.commands.includes('a capture'));
    outside.answer('a');
    await until('the end', async () => (await outcome(life, 'a')) === 'Succeeded');
    expect(await take(life, 'a')).to.equal('Known');
    expect(outside.commands).to.deep.equal(['a pay', 'a capture']);
    expect(life.worker.inWork).to.equal(0);
  });

  it('forgets faster than orders can come, so that its journal does not grow for ever', async () => {
    const life = await started();
    const database = openFile(join(directory, 'journal.db'));
    const left = (): number => Number(database.prepare('SELECT count(*) AS ended FROM ended').get()?.['ended']);
    const second = 4_000;
    const insert = database.prepare("INSERT INTO ended (key, outcome, at, n) VALUES (?, 'Succeeded', 0, ?)");
    database.exec('BEGIN');
    for (let n = 1; n <= 3 * second; n++) insert.run(`shop/checkout/old-${n}`, n);
    database.exec('COMMIT');
    const begun = clock.monotonic();
    await until('it begins to forget', () => left() < 3 * second);
    const late = clock.monotonic() - begun;
    await until('it has forgotten', () => left() === 0, 10);
    expect(clock.monotonic() - begun - late, 'milliseconds for what three seconds bring').to.be.below(3_000);
    expect(life.worker.inWork).to.equal(0);
    database.close();
  });

  it('drives as many runs of a saga as it allows, the others in the order of their coming', async () => {
    sagas.set(sagaOf({ maxActive: 1 }));
    const life = await started();
    for (const order of ['a', 'b', 'c']) {
      await take(life, order);
      clock.advance(1);
    }
    expect(outside.commands).to.deep.equal(['a pay']);
    expect(await metric(life, 'mercato_worker_runs_waiting{for="MaxActive"}')).to.equal(2);
    outside.answer('a', { type: 'BusinessFailure', reason: 'No', message: 'no' });
    await until('the next one', () => outside.commands.length === 2);
    expect(outside.commands).to.deep.equal(['a pay', 'b pay']);
    // A held run takes no place.
    outside.answer('b', { type: 'Unknown', reason: 'Timeout', message: 'no answer' });
    await until('the one after it', () => outside.commands.includes('c pay'));
    expect(life.worker.held).to.equal(1);
    sagas.set(sagaOf({ maxActive: 2 }));
    await take(life, 'd');
    await until('a limit that was raised', () => outside.commands.includes('d pay'));
  });

  it('goes on with what another handed over, in the order of their coming, and does not doubt it', async () => {
    sagas.set(sagaOf({ maxActive: 1 }));
    const first = await started();
    for (const order of ['a', 'b', 'c']) {
      await take(first, order);
      clock.advance(1);
    }
    outside.answer('a');
    await until('capture', () => outside.commands.includes('a capture'));
    await first.stop();
    running.length = 0;
    const sent = outside.sent.length;
    const second = await started();
    await until('it goes on', () => outside.sent.length > sent);
    expect(outside.commands.slice(sent)).to.deep.equal(['a capture']);
    outside.answer('a');
    await until('the next', () => outside.sent.length > sent + 1);
    expect(outside.commands.at(-1)).to.equal('b pay');
    expect(await metric(second, 'mercato_worker_runs_claimed_total{died="false"}')).to.equal(3);
    expect(await metric(second, 'mercato_worker_runs_claimed_total{died="true"}')).to.equal(0);
  });

  it('goes on with the trace of an order, in this life and the next', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const first = await started();
    await take(first, 'a', { traceparent });
    outside.answer('a');
    await until('capture', () => outside.commands.includes('a capture'));
    await first.stop();
    running.length = 0;
    await started();
    await until('it goes on', () => outside.sent.length > 2);
    expect(outside.sent.map(({ effect }) => effect.traceparent)).to.deep.equal(Array(3).fill(traceparent));
  });

  it('takes nothing in while it has too much to do, and says so', async () => {
    const life = await started({ maxInWork: 2 });
    await take(life, 'a');
    await take(life, 'b');
    const refusal = await take(life, 'c').catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(IntakeBusy);
    expect((refusal as Error).message).to.contain('--max-in-work');
    expect(await life.journal.look(idOf('c'))).to.equal(undefined);
    outside.answer('a', { type: 'BusinessFailure', reason: 'No', message: 'no' });
    await until('there is room', async () => (await outcome(life, 'a')) !== undefined);
    expect(await take(life, 'c')).to.equal('Begun');
  });

  describe('with many runs that wait for a person', () => {
    const NO_ANSWER: Answer = { type: 'Unknown', reason: 'Timeout', message: 'no answer' };
    const ORDERS = Array.from({ length: 60 }, (_, index) => `o-${index}`);

    /** Has all orders taken in and held, although a third of them fill the worker. */
    async function heldAll(life: Life): Promise<void> {
      for (const order of ORDERS) {
        await until('there is room', () => life.worker.refusal === undefined);
        await take(life, order);
        outside.answer(order, NO_ANSWER);
      }
      await until('all are held', () => life.worker.held === ORDERS.length);
      await until('they are at rest', () => life.worker.runner.size <= 1);
    }
    const holdOf = async (life: Life, order: string): Promise<string> => {
      const record = (await life.journal.look(idOf(order)))?.record;
      return (record !== undefined && 'state' in record && record.state?.hold?.id) || 'none';
    };
    const decide = async (life: Life, order: string, what: 'Retry' | 'Abort', holdId?: string): Promise<void> => {
      const decision = { holdId: holdId ?? (await holdOf(life, order)), do: what, reason: 'it is back', by: 'ada' };
      expect(await life.journal.post(idOf(order), { type: 'Decision', decision })).to.equal('Posted');
    };
    /** What came of the last decision, as the journal has it. */
    const answerTo = async (life: Life, order: string): Promise<string | undefined> => {
      const record = (await life.journal.look(idOf(order)))?.record;
      return record !== undefined && 'state' in record ? record.state?.observedDecision?.outcome : undefined;
    };

    it('takes new ones in: those that are held are let go to the journal, all but a few', async () => {
      const life = await started({ maxInWork: 20 });
      await heldAll(life);
      expect(life.worker.active, 'none is forgotten').to.equal(ORDERS.length);
      expect(await metric(life, 'mercato_worker_runs_resting')).to.equal(ORDERS.length - 1);
      expect(life.worker.inWork, 'ten count as one').to.equal(1 + 6);
      expect((await life.journal.counts()).get('shop/checkout')).to.deep.equal({ active: 0, held: ORDERS.length });
    });

    it('reads one again when somebody decides about it, or cancels it', async () => {
      const life = await started({ maxInWork: 20 });
      await heldAll(life);
      await decide(life, 'o-3', 'Retry');
      await until('the retry', () => outside.sent.at(-1)?.order === 'o-3');
      expect(outside.sent.at(-1)?.effect.epoch).to.equal(2);
      outside.answer('o-3');
      await until('capture', () => outside.commands.at(-1) === 'o-3 capture');
      outside.answer('o-3');
      await until('the end', async () => (await outcome(life, 'o-3')) === 'Succeeded');
      await life.intake.cancel(idOf('o-4'), 'changed my mind');
      await until('the compensation', () => outside.commands.at(-1) === 'o-4 undo pay');
      outside.answer('o-4');
      await until('the end', async () => (await outcome(life, 'o-4')) === 'Compensated');
      expect(life.worker.held).to.equal(ORDERS.length - 2);
      expect(life.worker.active).to.equal(ORDERS.length - 2);
    });

    it('refuses a decision for another hold, lets the run rest again, and takes the right one', async () => {
      const life = await started({ maxInWork: 20 });
      await heldAll(life);
      await decide(life, 'o-7', 'Abort', 'some-other-hold');
      await until('the refusal', async () => (await answerTo(life, 'o-7')) === 'Refused');
      await until('it rests again', () => life.worker.runner.size <= 1);
      expect(life.worker.held).to.equal(ORDERS.length);
      await decide(life, 'o-7', 'Abort');
      await until('the end', async () => (await outcome(life, 'o-7')) === 'Aborted');
    });

    it('hands them over without doubt, and the next worker has as little of them in memory', async () => {
      const first = await started({ maxInWork: 20 });
      await heldAll(first);
      await first.stop();
      running.length = 0;
      const second = await started({ maxInWork: 20 });
      await until('it has all', () => second.worker.held === ORDERS.length && second.worker.runner.size <= 1);
      expect(await metric(second, 'mercato_worker_runs_claimed_total{died="true"}')).to.equal(0);
      await decide(second, 'o-59', 'Retry');
      await until('the retry', () => outside.sent.at(-1)?.effect.epoch === 2);
    });

    it('has a limit for them too, since memory is not for ever', async () => {
      const life = await started({ maxInWork: 5 });
      for (const order of ORDERS.slice(0, 41)) {
        await until('there is room', () => life.worker.refusal === undefined);
        await take(life, order);
        outside.answer(order, NO_ANSWER);
      }
      await until('they are at rest', () => life.worker.runner.size === 0);
      expect(life.worker.refusal).to.match(/41 wait for a decision, of which 41 are at rest and count as 5$/);
    });
  });

  it('has an order come again while its saga is missing, and refuses it when that takes too long', async () => {
    const life = await started();
    const order = { id: { ...idOf('a'), saga: 'returns' }, input: INPUT, placedAt: clock.wall() };
    const first = await life.intake.take(order).catch((error: unknown) => error);
    expect(first).to.be.instanceOf(IntakeBusy);
    clock.advance(10 * 60_000);
    const last = await life.intake.take(order).catch((error: unknown) => error);
    expect(last).to.be.instanceOf(IntakeRefused).and.to.include({ reason: 'SagaNotFound' });
    const elsewhere = { ...order, id: { ...idOf('a'), namespace: 'other' } };
    expect(await life.intake.take(elsewhere).catch((error: unknown) => error)).to.include({
      reason: 'NamespaceNotWatched',
    });
  });

  it('knows an order that it took before its saga went, and does not refuse it', async () => {
    const life = await started({ fenceMillis: 3_600_000 });
    await take(life, 'a');
    sagas.delete('checkout');
    expect(await take(life, 'a').catch((error: unknown) => error)).to.be.instanceOf(IntakeBusy);
    clock.advance(10 * 60_000);
    expect(await take(life, 'a')).to.equal('Known');
    expect(await take(life, 'b').catch((error: unknown) => error)).to.be.instanceOf(IntakeRefused);
  });

  it('begins no step while its saga is paused, and goes on by itself', async () => {
    const life = await started();
    await take(life, 'a');
    const pause = { until: new Date(clock.wall() + 5_000).toISOString(), reason: 'stocktaking' };
    sagas.set(sagaOf({ pause }));
    await until('it is paused', () => life.worker.runner.find(idOf('a'))?.state.paused === true);
    outside.answer('a');
    await take(life, 'b');
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(outside.commands).to.deep.equal(['a pay']);
    await until('the pause ends', () => outside.commands.includes('a capture') && outside.commands.includes('b pay'));
  });

  it("carries a person's decision to the run, and takes it away once the journal shows what came of it", async () => {
    let settled: readonly string[] = [];
    const life = await started({
      faults: {
        async settleMail(this: WorkerJournal, receipts) {
          settled = receipts;
          return SqliteJournal.prototype.settleMail.call(this as never, receipts);
        },
      },
    });
    await take(life, 'a');
    outside.answer('a', { type: 'Unknown', reason: 'Timeout', message: 'no answer' });
    await until('the hold', () => life.worker.runner.find(idOf('a'))?.durable.hold !== undefined);
    const holdId = life.worker.runner.find(idOf('a'))?.state.hold?.id ?? '';
    const decision = { holdId, do: 'Retry', reason: 'it is back', by: 'ada' } as const;
    expect(await life.journal.post(idOf('a'), { type: 'Decision', decision })).to.equal('Posted');
    await until('the retry', () => outside.commands.length === 2);
    expect(outside.sent.at(-1)?.effect.epoch).to.equal(2);
    await until('it is settled', () => settled.length === 1);
    expect(await life.journal.mail()).to.deep.equal([]);
    expect(await metric(life, 'mercato_worker_mail_total{type="Decision"}')).to.equal(1);
  });

  it('does nothing more once the journal declares it dead, and says why', async () => {
    let isDead = false;
    const life = await started({
      faults: {
        async beat() {
          if (isDead) throw new IncarnationLost('another has its runs');
          return 1;
        },
      },
    });
    await take(life, 'a');
    isDead = true;
    let failure: unknown;
    life.ended.catch((error: unknown) => {
      failure = error;
    });
    await until('it ends', () => failure !== undefined);
    expect(failure).to.be.instanceOf(IncarnationLost);
    outside.answer('a');
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(outside.commands).to.deep.equal(['a pay']);
    expect(await take(life, 'b').catch((error: unknown) => error)).to.be.instanceOf(IntakeBusy);
  });

  it('sends nothing when it was silent for so long that another may have its runs', async () => {
    const life = await started({ fenceMillis: 7_000, faults: { beat: () => new Promise(() => undefined) } });
    await take(life, 'a');
    // As a process does that was stopped: it wakes up, and what was due comes before every timer.
    clock.advance(7_000);
    outside.answer('a');
    let failure: unknown;
    life.ended.catch((error: unknown) => {
      failure = error;
    });
    await until('it ends', () => failure !== undefined);
    expect(failure).to.be.instanceOf(IncarnationLost);
    expect(outside.commands).to.deep.equal(['a pay']);
  });

  it('waits with a run whose revision is gone, and goes on when it is back', async () => {
    const first = await started();
    await take(first, 'a');
    outside.answer('a');
    await until('capture', () => outside.commands.includes('a capture'));
    await first.stop();
    running.length = 0;
    let isGone = true;
    const real = first.journal.loadRevision;
    const second = await started({
      faults: {
        loadRevision(this: WorkerJournal, ...args: Parameters<typeof real>) {
          return isGone ? Promise.resolve(undefined) : SqliteJournal.prototype.loadRevision.apply(this as never, args);
        },
      },
    });
    await until(
      'it says so',
      async () => (await metric(second, 'mercato_worker_runs_waiting{for="RevisionNotFound"}')) === 1,
    );
    expect(outside.commands).to.deep.equal(['a pay', 'a capture']);
    isGone = false;
    await until('it goes on', () => outside.commands.length === 3);
    expect(outside.commands.at(-1)).to.equal('a capture');
  });

  it('hands over nothing as known of a dead worker that it could not take up itself', async () => {
    const first = await started();
    await take(first, 'a');
    await until('pay', () => outside.commands.includes('a pay'));
    // It is gone, as far as the journal can know.
    running.length = 0;
    const second = await started({
      faults: { loadRevision: () => Promise.reject(new JournalUnavailable('the test says so')) },
    });
    await until(
      'it is claimed',
      async () => (await metric(second, 'mercato_worker_runs_waiting{for="RevisionNotFound"}')) === 1,
    );
    await second.stop();
    running.length = 0;
    const third = await started();
    await until(
      'it is doubted',
      async () => (await metric(third, 'mercato_worker_runs_claimed_total{died="true"}')) === 1,
    );
  });
});
