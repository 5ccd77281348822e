import { eventually } from '../../kube/testing.ts';
import type { Participants, SendEffect } from '../../participants/participants.ts';
import { Runner } from '../../runner/runner.ts';
import { VirtualClock } from '../../runtime/clock.ts';
import { INPUT, revision, success } from '../../saga/rehearsal.ts';
import type { Answer, Decision, GivenUp, Revision, RunContext, RunId, RunState } from '../../saga/types.ts';
import type { Journal, JournalRecord } from '../journal.ts';
import { IncarnationLost, type NewRun } from '../worker-journal.ts';
import type { JournalHarness, JournalPlace, Leaving } from './harness.ts';

export const REVISION = revision();

/** What goes by on the clock each time a test looks, where it waits for something that is tried again. */
const TICK_MILLIS = 20;

/** How long a step of a test may take on a machine that does a dozen other things. */
const PATIENCE_MILLIS = 30_000;

/** One sending, and what was durable of its run when it arrived. */
export interface Arrived {
  readonly effect: SendEffect;
  readonly durable: RunState | undefined;
  readonly answer: (answer: Answer) => void;
}

/** One test's place, its clock, and the workers that live there one after the other. */
export class Stage<J extends Journal> {
  readonly clock: VirtualClock;
  readonly place: JournalPlace<J>;
  #underWay = 0;

  private constructor(clock: VirtualClock, place: JournalPlace<J>) {
    this.clock = clock;
    this.place = place;
  }

  static async open<J extends Journal>(harness: JournalHarness<J>): Promise<Stage<J>> {
    const clock = new VirtualClock();
    return new Stage(clock, await harness.place(clock));
  }

  id(orderId = 'o-1', saga = 'checkout'): RunId {
    return { namespace: this.place.namespace, saga, orderId };
  }

  newRun(orderId = 'o-1', of: Revision = REVISION, saga = 'checkout'): NewRun {
    return { id: this.id(orderId, saga), input: INPUT, revision: of.hash, createdAt: this.clock.wall() };
  }

  /** The first worker, with the revision of the tests saved. */
  async worker(of: Revision = REVISION): Promise<Worker<J>> {
    const worker = new Worker(this, await this.place.start(), of);
    await worker.journal.saveRevision(this.place.namespace, 'checkout', of);
    return worker;
  }

  /** Another worker, once `last` is gone. One that dies or hands over stops its runner first; a zombie's goes on. */
  async succeed(last: Worker<J>, how: Leaving | 'zombie'): Promise<Worker<J>> {
    if (how === 'died') last.runner.abandon();
    if (how === 'handedOver') await last.release();
    return new Worker(this, await this.place.succeed(last.journal, how === 'zombie' ? 'died' : how), last.revision);
  }

  /** Time stands still until this is answered: how slow the machine is must not show on the clock, by which runs write their progress. */
  async untimed<R>(call: () => Promise<R>): Promise<R> {
    this.#underWay += 1;
    try {
      return await call();
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Lets a little time go by, unless an answer is on its way. */
  tick(): void {
    if (this.#underWay === 0) this.clock.advance(TICK_MILLIS);
  }

  /** What is durable of a run. @throws Error when there is no state to believe */
  async durable(orderId = 'o-1'): Promise<RunState> {
    const found = await this.place.peek(this.id(orderId));
    if (found === undefined || !('state' in found) || found.state === undefined)
      throw new Error(`${orderId} should have a state, and is ${JSON.stringify(found)}`);
    return found.state;
  }

  /** Waits until the durable state is as wanted; time stands still. */
  async untilDurable(what: string, wanted: (state: RunState) => boolean, orderId = 'o-1'): Promise<RunState> {
    let last: JournalRecord | undefined;
    const isAsWanted = async (): Promise<boolean> => {
      last = await this.place.peek(this.id(orderId));
      return last !== undefined && 'state' in last && last.state !== undefined && wanted(last.state);
    };
    await eventually(what, isAsWanted, PATIENCE_MILLIS);
    return (last as { readonly state: RunState }).state;
  }

  /** What a run gave up on, as `Skip book`. */
  async givenUp(orderId = 'o-1'): Promise<string[]> {
    const entries: readonly GivenUp[] = await this.place.exceptions(this.id(orderId));
    return entries.map(({ decision, step }) => `${decision} ${step}`).sort();
  }
}

/** A worker with the real runner; what it sends arrives here, and waits for the test to answer. */
export class Worker<J extends Journal> {
  readonly journal: J;
  readonly revision: Revision;
  readonly runner: Runner;
  readonly arrived: Arrived[] = [];
  /** `ended Succeeded`, `dropped Taken`, `failed` (a write failed and is tried again). */
  readonly told: string[] = [];
  /** How many writes it asked its journal for. */
  writes = 0;
  readonly #stage: Stage<J>;

  constructor(stage: Stage<J>, journal: J, of: Revision) {
    this.#stage = stage;
    this.journal = journal;
    this.revision = of;
    const participants: Participants = { send: (run, effect) => this.#arrive(run, effect) };
    this.runner = new Runner({
      journal: this.#counted(),
      participants,
      clock: stage.clock,
      observer: {
        ended: (_, { ended }) => this.told.push(`ended ${ended}`),
        dropped: (_, why) => this.told.push(`dropped ${why}`),
        journalFailed: (_, error) => {
          this.told.push('failed');
          // What the port asks of whoever drives runs.
          if (error instanceof IncarnationLost) this.runner.abandon();
        },
      },
    });
  }

  /** Puts the run on record and begins to drive it. */
  async begin(run: NewRun = this.#stage.newRun('o-1', this.revision)): Promise<void> {
    const version = await this.#stage.place.begin(this.journal, run);
    void this.runner.adopt({ context: run, revision: this.revision, version, from: { type: 'New' } });
  }

  /** Makes a run its own that a predecessor left, and drives it. @returns what the journal said of it */
  async takeOver(how: Leaving, run: NewRun = this.#stage.newRun('o-1', this.revision)): Promise<JournalRecord> {
    const record = await this.#stage.place.claim(this.journal, run.id);
    if ('newer' in record) throw new Error(record.newer);
    const context: RunContext = run;
    const from =
      'damaged' in record
        ? ({ type: 'Damaged', message: record.damaged } as const)
        : ({ type: 'TakenOver', state: record.state, died: how === 'died' } as const);
    void this.runner.adopt({ context, revision: this.revision, version: record.version, from });
    return record;
  }

  /** As `reserve`, `undo reserve`: what arrived, in order. */
  get course(): string[] {
    return this.arrived.map(({ effect }) => nameOf(effect));
  }

  /** The state in memory. */
  state(orderId = 'o-1'): RunState {
    const found = this.runner.find(this.#stage.id(orderId));
    if (found === undefined) throw new Error(`${orderId} is not driven: ${this.told.join(', ')}`);
    return found.state;
  }

  /** Waits until the next sending, after `before` others, has arrived. */
  async next(before: number): Promise<Arrived> {
    await this.until(
      `sending ${before + 1} arrives after ${this.course.join(', ')}`,
      () => this.arrived.length > before,
    );
    return this.arrived[before] as Arrived;
  }

  /** Lets everything succeed until `name` has arrived. @returns its sending */
  async runTo(name: string): Promise<Arrived> {
    for (let count = 0; ; ) {
      const last = this.arrived.at(-1) ?? (await this.next(count));
      if (nameOf(last.effect) === name) return last;
      count = this.arrived.length;
      last.answer(success(last.effect.step));
      await this.next(count);
    }
  }

  /** Answers the last sending, and waits for what is sent then. */
  async answer(answer: Answer): Promise<Arrived> {
    const count = this.arrived.length;
    this.arrived.at(-1)?.answer(answer);
    return this.next(count);
  }

  /** Answers the last sending, and all that follow with success, until the run is said to have ended. */
  async finish(answer?: Answer): Promise<void> {
    for (let given = answer; ; given = undefined) {
      const last = this.arrived.at(-1);
      const count = this.arrived.length;
      last?.answer(given ?? success(last.effect.step));
      await this.until('the run goes on or ends', () => this.arrived.length > count || this.isOver);
      if (this.isOver) return;
    }
  }

  /** Lets a step fail until the run is held. @returns the hold's id */
  async hold(answer: Answer): Promise<string> {
    for (;;) {
      const count = this.arrived.length;
      this.arrived.at(-1)?.answer(answer);
      const isHeld = (): boolean => this.runner.find(this.#stage.id())?.durable.hold !== undefined;
      await this.until('it is tried again or held', () => this.arrived.length > count || isHeld());
      if (isHeld()) return this.state().hold?.id ?? '';
    }
  }

  decide(fields: Partial<Decision> & Pick<Decision, 'do' | 'holdId'>): void {
    const decision: Decision = { reason: 'looked into it', by: 'ann', ...fields };
    this.runner.tell(this.#stage.id(), { type: 'Decided', decision });
  }

  get isOver(): boolean {
    return this.told.some((line) => !line.startsWith('failed'));
  }

  /** Waits until something is true, and lets time go by meanwhile. */
  async until(what: string, wanted: () => boolean): Promise<void> {
    const isSo = (): boolean => {
      if (wanted()) return true;
      this.#stage.tick();
      if (wanted()) return true;
      throw new Error(`it sent ${this.course.join(', ')} and told ${this.told.join(', ')}`);
    };
    await eventually(what, isSo, PATIENCE_MILLIS);
  }

  /** Hands its runs over in good order, as far as the runner goes. */
  async release(): Promise<void> {
    let isReleased = false;
    const released = this.runner.release().then(() => {
      isReleased = true;
    });
    await this.until('the runner is released', () => isReleased);
    await released;
  }

  async #arrive(id: RunId, effect: SendEffect): Promise<Answer> {
    const record = await this.#stage.untimed(() => this.#stage.place.peek(id));
    const durable = record !== undefined && 'state' in record ? record.state : undefined;
    return new Promise((answer) => this.arrived.push({ effect, durable, answer }));
  }

  #counted(): Journal {
    const { journal } = this;
    const stage = this.#stage;
    return {
      read: (id) => stage.untimed(() => journal.read(id)),
      write: (id, state, version) => {
        this.writes += 1;
        return stage.untimed(() => journal.write(id, state, version));
      },
      saveRevision: (...args) => stage.untimed(() => journal.saveRevision(...args)),
      loadRevision: (...args) => stage.untimed(() => journal.loadRevision(...args)),
      recordException: (...args) => stage.untimed(() => journal.recordException(...args)),
    };
  }
}

function nameOf({ kind, step }: SendEffect): string {
  return kind === 'action' ? step : `undo ${step}`;
}

/** What a promise is rejected with. @throws Error when it is not */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const nothing = Symbol('nothing');
  const reason = await promise.then(
    () => nothing,
    (error: unknown) => error,
  );
  if (reason === nothing) throw new Error('this should have been refused');
  return reason;
}
