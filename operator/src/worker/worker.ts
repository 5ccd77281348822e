import { sagaKey } from '../controllers/ordersaga/controller.ts';
import { JournalUnavailable } from '../journals/journal.ts';
import { type ClaimedRun, IncarnationLost, type NewRun, type WorkerJournal } from '../journals/worker-journal.ts';
import type { Participants } from '../participants/participants.ts';
import { fairly } from '../runner/fairly.ts';
import type { RunnerObserver } from '../runner/ports.ts';
import { type Adoption, Runner } from '../runner/runner.ts';
import { type Clock, pause } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runnable } from '../runtime/manager.ts';
import { runKey } from '../saga/command.ts';
import type { Revision, RunId } from '../saga/types.ts';
import { claimedAdoption, type Stuck } from './claimed.ts';
import type { Definitions } from './definitions.ts';
import { Gate } from './gate.ts';
import { HeldRuns } from './held.ts';
import { BEAT_EVERY_MILLIS, Life } from './life.ts';
import { Mailman } from './mail.ts';
import type { Waits, WorkerMetrics, WorkerSight } from './metrics.ts';
import { Places, shareOf } from './places.ts';

/** Runs left by other workers are looked for this often: a fraction of the time that a dead worker may stall its runs. */
const CLAIM_EVERY_MILLIS = 2_000;
/** A claim is one transaction of the journal; its runs are in memory at once. */
const CLAIM_AT_ONCE = 200;
/** Runs that begin their life here at once: their first writes are not to crowd out those of runs that are about to end. */
const ADOPT_AT_ONCE = 32;
const MAIL_EVERY_MILLIS = 500;
const PRUNE_EVERY_MILLIS = 10_000;
/** Between two groups that are forgotten, runs have the journal to themselves: it forgets some 5,000 runs a second, more than one worker can end. */
const PRUNE_ON_MILLIS = 10;
/** What cannot be driven is looked at again this often. */
const STUCK_EVERY_MILLIS = 5_000;
/** How long a stop waits for the journal to have everything. The manager's bound is 30 s. */
const RELEASE_MILLIS = 20_000;
const OPEN_AGAIN_MILLIS = 1_000;

export interface WorkerOptions {
  readonly journal: WorkerJournal;
  readonly participants: Participants;
  readonly definitions: Definitions;
  /** Who else hears what happens to runs. */
  readonly observer: RunnerObserver;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Runs in memory at most, waiting ones included; ten held ones count as one. Intake is refused beyond it. */
  readonly maxInWork: number;
  /** See {@link Life}. */
  readonly fenceMillis?: number;
  readonly metrics: (sight: WorkerSight) => WorkerMetrics;
}

/** A run on its way to the runner. */
interface Arrival extends Adoption {
  readonly createdAt: number;
}

/**
 * Drives the runs of a journal that holds everything of them, without Kubernetes: begins those that intake puts on record, takes over those that other
 * workers left, and hands its own over when it stops. It ends with an error when the journal declares it dead; its process is to begin anew.
 */
export class Worker implements Runnable {
  readonly name = 'worker';
  readonly needsLeaderElection = false;
  readonly runner: Runner;
  readonly #o: WorkerOptions;
  readonly #metrics: WorkerMetrics;
  readonly #gate = new Gate();
  readonly #places = new Places<Arrival>();
  readonly #held: HeldRuns;
  readonly #stuck = new Map<string, { readonly claimed: ClaimedRun; readonly why: Stuck['reason'] }>();
  readonly #mailman: Mailman;
  /**
   * Runs that a worker which died had, and of which nothing is written since. Were they handed over in order, nobody would doubt them any more: what that
   * worker did and never wrote would be forgotten.
   */
  readonly #doubted = new Set<string>();
  #claiming: Promise<void> = Promise.resolve();
  #closing = false;
  #paused = new Set<string>();
  #life: Life | undefined;
  readonly #opened = Promise.withResolvers<void>();

  constructor(options: WorkerOptions) {
    this.#o = options;
    const { journal, participants, clock, observer } = options;
    this.#held = new HeldRuns(options.maxInWork);
    this.runner = new Runner({
      journal,
      participants,
      clock,
      mayAct: () => this.#life?.mayAct() ?? false,
      observer: this.#observe(observer),
    });
    this.#metrics = options.metrics({
      inWork: () => this.inWork,
      workers: () => this.#life?.workers ?? 0,
      resting: () => this.#held.resting,
      waiting: () => this.#waiting(),
    });
    this.#mailman = new Mailman(journal, this.runner, this.#metrics, (id) => this.#wake(id));
  }

  /** Runs in memory: driven, waiting, about to be put on record, and what those at rest take. */
  get inWork(): number {
    return this.runner.size + this.#places.size + this.#stuck.size + this.#gate.inside + this.#held.room;
  }

  /** Runs that have begun and not ended, held ones included. */
  get active(): number {
    return this.runner.size + this.#held.resting;
  }

  /** Runs that wait for a person. */
  get held(): number {
    return this.#held.size;
  }

  /** Runs that can be taken in now. */
  get room(): number {
    return this.refusal === undefined ? this.#o.maxInWork - this.inWork : 0;
  }

  /** Why nothing new can be taken in now; undefined when it can. */
  get refusal(): string | undefined {
    if (this.#life === undefined) return 'the worker has not opened its journal yet';
    if (!this.#gate.isOpen || !this.#life.mayAct()) return 'the worker stops';
    const { maxInWork } = this.#o;
    if (this.inWork < maxInWork) return undefined;
    return `${this.inWork} runs are in work, and ${maxInWork} may be (--max-in-work); ${this.held} wait for a decision, of which ${this.#held.resting} are at rest and count as ${this.#held.room}`;
  }

  /** Resolves once the journal is open, or `signal` aborts. */
  async opened(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#opened.promise, untilAborted(signal)]);
  }

  /** For the readiness probe. @throws Error that says why it is not ready */
  mustBeReady(): void {
    if (this.#life?.mayAct() !== true || !this.#gate.isOpen) throw new Error(this.refusal ?? 'the worker is not ready');
  }

  /** Something that a stop waits for: a run is being put on record. Each call is followed by one of {@link leave}. */
  enter(): void {
    this.#gate.enter();
  }

  leave(): void {
    this.#gate.leave();
  }

  /** Drives a run that this worker just put on record. */
  begin({ id, input, createdAt, traceparent }: NewRun, revision: Revision, version: string): void {
    const context = { id, input, ...(traceparent && { traceparent }) };
    this.#admit({ context, revision, version, from: { type: 'New' }, createdAt });
  }

  /** The journal says that this life is over. */
  lose(why: IncarnationLost): void {
    this.#life?.lose(why);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { journal, logger } = this.#o;
    const life = await this.#open(signal);
    if (life === undefined) return journal.close();
    const over = new AbortController();
    const loops = [
      this.#every('beat', BEAT_EVERY_MILLIS, over.signal, () => this.#beat(life)),
      this.#every('claim', CLAIM_EVERY_MILLIS, signal, () => {
        this.#claiming = this.#claim(signal);
        return this.#claiming;
      }),
      this.#every('mail', MAIL_EVERY_MILLIS, signal, () => this.#look()),
      this.#every('stuck', STUCK_EVERY_MILLIS, signal, () => this.#tryAgain()),
      this.#every('prune', PRUNE_EVERY_MILLIS, signal, () => this.#prune(signal)),
    ];
    try {
      await Promise.race([life.ended, untilAborted(signal), ...loops.map((loop) => loop.then(() => NEVER))]);
      await Promise.race([life.ended, this.#handOver(), this.#lateHandOver(over.signal)]);
    } finally {
      over.abort();
      this.runner.abandon();
      await journal.close().catch((error: unknown) => logger.warn('the journal was not closed in order', { error }));
    }
  }

  async #open(signal: AbortSignal): Promise<Life | undefined> {
    const { journal, clock, logger, fenceMillis } = this.#o;
    while (!signal.aborted) {
      try {
        const incarnation = await journal.open();
        logger.info('worker begins', { incarnation });
        this.#life = new Life(journal, clock, fenceMillis);
        this.#paused = this.#o.definitions.paused(clock.wall());
        this.#gate.open();
        this.#opened.resolve();
        return this.#life;
      } catch (error) {
        if (!(error instanceof JournalUnavailable)) throw error;
        logger.error('the journal cannot be opened, trying again', { error });
        await pause(clock, OPEN_AGAIN_MILLIS, signal);
      }
    }
    return undefined;
  }

  /** The runner makes durable what is known; then others may have the runs, and need not doubt them. */
  async #handOver(): Promise<void> {
    const { journal, logger } = this.#o;
    await this.#gate.close();
    this.#closing = true;
    const durable = await this.runner.release();
    await this.#claiming.catch(() => undefined);
    if (!durable || this.#doubted.size > 0) {
      logger.warn('the runs are not handed over: whoever takes them has to doubt them', {
        durable,
        leftByTheDead: this.#doubted.size,
      });
      return;
    }
    try {
      await journal.handOver();
      logger.info('worker handed its runs over');
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error;
      logger.warn('the runs were not handed over: whoever takes them has to doubt them', { error });
    }
  }

  async #lateHandOver(over: AbortSignal): Promise<void> {
    const { clock, logger } = this.#o;
    await pause(clock, RELEASE_MILLIS, over);
    if (!over.aborted)
      logger.error('the journal took too long for a hand-over: whoever takes the runs has to doubt them');
  }

  /** Repeats a round. A journal that is away is waited for; what else goes wrong ends the worker. */
  async #every(what: string, millis: number, signal: AbortSignal, round: () => Promise<void>): Promise<void> {
    const { clock, logger } = this.#o;
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (error instanceof IncarnationLost) return this.lose(error);
        if (!(error instanceof JournalUnavailable)) throw error;
        this.#metrics.failures.inc({ what });
        logger.warn('a round of the worker failed, trying again', { what, error });
      }
      await pause(clock, millis, signal);
    }
  }

  async #beat(life: Life): Promise<void> {
    try {
      await life.beat();
      this.#metrics.beats.inc({ outcome: 'Succeeded' });
    } catch (error) {
      this.#metrics.beats.inc({ outcome: 'Failed' });
      // A worker that has nothing to send is to notice, too, that it is silent for too long.
      life.mayAct();
      throw error;
    }
    // Another number of workers is another share.
    for (const saga of this.#places.sagas) this.#fill(saga);
  }

  async #claim(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const room = Math.min(CLAIM_AT_ONCE, this.#o.maxInWork - this.inWork);
      if (room <= 0) return;
      const claimed = await this.#o.journal.claim(room);
      if (claimed.length === 0) return;
      for (const { died, run } of claimed) {
        this.#metrics.claimed.inc({ died: String(died) });
        if (died) this.#doubted.add(runKey(run.id));
      }
      await this.#takeOver(claimed);
    }
  }

  /** Begins to drive them, a few at a time. */
  async #takeOver(claimed: readonly ClaimedRun[]): Promise<void> {
    const inOrder = [...claimed].sort((a, b) => a.run.createdAt - b.run.createdAt);
    const queue = fairly(inOrder, ({ record }) => ('state' in record ? record.state?.claims : undefined));
    const lane = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await this.#takeOne(next);
    };
    await Promise.all(Array.from({ length: ADOPT_AT_ONCE }, lane));
  }

  async #takeOne(claimed: ClaimedRun): Promise<void> {
    const { id, createdAt } = claimed.run;
    const key = runKey(id);
    const found = await claimedAdoption(claimed, this.#o.definitions).catch((error: unknown) => {
      if (!(error instanceof JournalUnavailable)) throw error;
      // It is ours already, and must not be forgotten while the journal is away.
      return { reason: 'RevisionNotFound', message: error.message } as const;
    });
    if ('reason' in found) return this.#wait(claimed, found);
    this.#stuck.delete(key);
    const arrival: Arrival = { ...found.adoption, createdAt };
    // What has begun has its place already.
    if (found.begun) await this.#adopt(arrival);
    else this.#admit(arrival);
  }

  #wait(claimed: ClaimedRun, { reason, message }: Stuck): void {
    const key = runKey(claimed.run.id);
    if (this.#stuck.get(key)?.why !== reason)
      this.#o.logger.error('a run cannot be driven, and waits', { run: key, reason, message });
    this.#stuck.set(key, { claimed, why: reason });
  }

  async #tryAgain(): Promise<void> {
    if (this.#stuck.size > 0) await this.#takeOver([...this.#stuck.values()].map(({ claimed }) => claimed));
  }

  async #prune(signal: AbortSignal): Promise<void> {
    while ((await this.#o.journal.prune()) && !signal.aborted) await pause(this.#o.clock, PRUNE_ON_MILLIS, signal);
  }

  /** What do people want: of their sagas, and of single runs? */
  async #look(): Promise<void> {
    const { definitions, clock } = this.#o;
    const before = this.#paused;
    this.#paused = definitions.paused(clock.wall());
    for (const saga of before.symmetricDifference(this.#paused)) {
      const [namespace = '', name = ''] = saga.split('/');
      this.runner.pause(namespace, name, this.#paused.has(saga));
    }
    // A limit that was raised or taken away.
    for (const saga of this.#places.sagas) this.#fill(saga);
    await this.#mailman.round();
    this.#putToRest();
  }

  /** Held runs that are too many leave the memory; not those that have mail: they are about to be woken. */
  #putToRest(): void {
    for (const id of this.#held.surplus())
      if (!this.#mailman.hasMailFor(id) && this.runner.rest(id)) this.#held.rest(id);
  }

  /** Has a run that is at rest driven again. @returns whether it was at rest. Rejects with the journal's errors */
  async #wake(id: RunId): Promise<boolean> {
    if (!this.#held.isResting(id)) return false;
    const sight = await this.#o.journal.look(id);
    if (sight !== undefined) await this.#takeOne({ ...sight, died: false });
    // Gone, or it waits for its definition: nobody holds it here.
    if (this.runner.find(id) === undefined) this.#held.note(id, false);
    return true;
  }

  /** Drives it now, or when its saga has a place. */
  #admit(arrival: Arrival): void {
    const { namespace, saga } = arrival.context.id;
    const key = sagaKey(namespace, saga);
    if (this.#places.isWaitedFor(key) || !this.#hasPlace(namespace, saga)) this.#places.wait(key, arrival);
    else void this.#adopt(arrival);
  }

  async #adopt(arrival: Arrival): Promise<void> {
    const { id } = arrival.context;
    await this.runner.adopt({ ...arrival, paused: this.#paused.has(sagaKey(id.namespace, id.saga)) });
    // What it begins with is durable, and says what is not known; unless the runner takes nothing any more.
    if (!this.#closing) this.#doubted.delete(runKey(id));
  }

  /** A held run takes no place: it would keep the others waiting for a person. */
  #hasPlace(namespace: string, saga: string): boolean {
    const limit = this.#o.definitions.maxActive(namespace, saga);
    if (limit === undefined) return true;
    const active = this.runner.countOf(namespace, saga) - this.#held.awakeOf(sagaKey(namespace, saga));
    return active < shareOf(limit, this.#life?.workers ?? 1);
  }

  /** Gives the saga's free places to those that wait. */
  #fill(saga: string): void {
    const [namespace = '', name = ''] = saga.split('/');
    while (this.#places.isWaitedFor(saga) && this.#hasPlace(namespace, name)) {
      const next = this.#places.next(saga);
      if (next !== undefined) void this.#adopt(next);
    }
  }

  #left({ namespace, saga }: RunId): void {
    if (this.#places.size > 0) this.#fill(sagaKey(namespace, saga));
  }

  #waiting(): Partial<Record<Waits, number>> {
    const counts: Partial<Record<Waits, number>> = { MaxActive: this.#places.size };
    for (const { why } of this.#stuck.values()) counts[why] = (counts[why] ?? 0) + 1;
    return counts;
  }

  #observe(others: RunnerObserver): RunnerObserver {
    return {
      adopted: (id, how) => {
        // One that was at rest was this worker's all the time.
        if (!this.#held.isResting(id)) others.adopted?.(id, how);
      },
      transitioned: (id, before, after, event, effects) => {
        if (this.#held.note(id, after.hold !== undefined)) this.#left(id);
        others.transitioned?.(id, before, after, event, effects);
      },
      ended: (id, state) => {
        others.ended?.(id, state);
        // The runner lets go of it in this same turn.
        queueMicrotask(() => this.#left(id));
      },
      dropped: (id, why) => {
        this.#held.note(id, false);
        others.dropped?.(id, why);
        this.#left(id);
      },
      journalFailed: (id, error) => {
        others.journalFailed?.(id, error);
        if (error instanceof IncarnationLost) this.lose(error);
      },
    };
  }
}

const NEVER = new Promise<never>(() => undefined);

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
