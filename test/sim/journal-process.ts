import { JournalUnavailable } from '@mercato/operator/journals/journal.ts';
import { IncarnationLost, type WorkerJournal } from '@mercato/operator/journals/worker-journal.ts';
import type { Participants } from '@mercato/operator/participants/participants.ts';
import { silentLogger } from '@mercato/operator/runtime/logger.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import type { Revision } from '@mercato/operator/saga/types.ts';
import type { Definitions } from '@mercato/operator/worker/definitions.ts';
import { JournalIntake } from '@mercato/operator/worker/journal-intake.ts';
import { workerMetrics } from '@mercato/operator/worker/metrics.ts';
import { Worker } from '@mercato/operator/worker/worker.ts';
import { Registry } from 'prom-client';
import { NAMESPACE, SAGA } from './definitions.ts';
import type { Process } from './desk.ts';
import { Node } from './node.ts';
import { SimulatedParticipants } from './participants.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';

const ANNOUNCE_EVERY_MILLIS = 500;
/** How long an ended run is kept: longer than any simulation. */
export const KEPT_MILLIS = 86_400_000 * 35;

/** What a process runs on. */
export interface Machine {
  readonly node: Node;
  readonly random: Random;
  /** Asked before and after everything that others can see; true when the process died there. */
  readonly mayDie: (point: string) => boolean;
}

export interface ProcessOptions {
  readonly stage: Stage;
  readonly name: string;
  readonly random: Random;
  /** What it opens: its own way to what survives it. */
  readonly journal: (machine: Machine) => WorkerJournal;
  /** See the worker's Life. @default nobody else could take its runs */
  readonly fenceMillis?: number;
  /** Another has its place already: said in the trace. */
  readonly isZombie: () => boolean;
  /** It ended, and nobody ended it. */
  readonly died: () => void;
}

/** An operator with a journal of its own workers: its worker, intake and journal, on the simulation's clock and network. */
export class JournalProcess implements Process {
  readonly node: Node;
  readonly journal: WorkerJournal;
  readonly intake: JournalIntake;
  readonly #o: ProcessOptions;
  readonly #worker: Worker;
  readonly #stopping = new AbortController();
  readonly #ended = Promise.withResolvers<void>();

  constructor(options: ProcessOptions) {
    this.#o = options;
    const { stage, name, random } = options;
    this.node = new Node(name, stage.scheduler);
    const opened = options.journal({ node: this.node, random, mayDie: (point) => this.#mayDie(point) });
    this.journal = stage.books.letters.watch(opened);
    const participants = new SimulatedParticipants(
      this.node,
      stage.network,
      stage.faults,
      random,
      stage.hosts,
      (point) => this.#mayDie(point),
    );
    const definitions = this.#definitions();
    this.#worker = new Worker({
      journal: this.journal,
      participants: this.#observed(participants),
      definitions,
      observer: { ended: (id) => stage.books.ended(runKey(id)) },
      clock: this.node,
      logger: silentLogger,
      maxInWork: 1_000,
      ...(options.fenceMillis === undefined ? {} : { fenceMillis: options.fenceMillis }),
      metrics: (sight) => workerMetrics(new Registry(), sight),
    });
    const { journal, node: clock } = this;
    this.intake = new JournalIntake({ worker: this.#worker, journal, definitions, clock, namespaces: [] });
  }

  start(): void {
    this.#worker.start(this.#stopping.signal).then(
      () => this.#ended.resolve(),
      (error: unknown) => {
        if (!this.node.alive) return;
        // Its life is another's: the process ends, as the operator's manager has it.
        if (error instanceof IncarnationLost) return this.#die('it lost its life');
        this.#o.stage.fail(`${this.node.name}: ${error instanceof Error ? error.stack : String(error)}`);
      },
    );
    const { signal } = this.#stopping;
    void this.#worker.opened(signal).then(() => {
      if (!signal.aborted) this.#announce();
    });
  }

  /** The worker looks for itself, twice a second. */
  sagaChanged(): void {}

  stop(): void {
    this.node.die();
    this.#worker.runner.abandon();
  }

  /** Resolves once the journal is closed. */
  handOver(): Promise<void> {
    this.#stopping.abort();
    return this.#ended.promise;
  }

  #die(why: string): void {
    this.#o.stage.note(`DIES ${this.node.name}: ${why}`);
    this.stop();
    this.#o.died();
  }

  #mayDie(point: string): boolean {
    if (!this.node.alive) return true;
    if (!this.#o.stage.faults.strikes('worker-crash', `${this.node.name} ${point}`)) return false;
    this.#die(point);
    return true;
  }

  /** The OrderSaga as this process's cache shows it. */
  #definitions(): Definitions {
    const { saga } = this.#o.stage;
    const { journal } = this;
    const of: Omit<Definitions, never> = {
      verdict: () => ({ accepted: true, revision: saga.revision }),
      store: (namespace: string, name: string, revision: Revision) => journal.saveRevision(namespace, name, revision),
      revision: (namespace: string, name: string, hash: string) => journal.loadRevision(namespace, name, hash),
      maxActive: () => undefined,
      paused: () => new Set(saga.isPaused ? [`${NAMESPACE}/${SAGA}`] : []),
      keptFor: () => KEPT_MILLIS,
    };
    return of as Definitions;
  }

  /** Shows each command to the books as it leaves. */
  #observed(participants: Participants): Participants {
    const { books, note } = this.#o.stage;
    return {
      send: (id, effect, signal) => {
        const driven = this.#worker.runner.find(id);
        const mark = this.#o.isZombie() ? ' (zombie)' : '';
        note(`SEND ${effect.key} epoch ${effect.epoch} send ${effect.send}${mark}`);
        if (driven !== undefined) books.sent(runKey(id), effect, driven.revision);
        return participants.send(id, effect, signal);
      },
    };
  }

  /** Tells the order service what is to be told, and has it forgotten once that was heard. */
  #announce(): void {
    const { stage } = this.#o;
    this.node.after(ANNOUNCE_EVERY_MILLIS, () => {
      this.#tellAll()
        .catch((error: unknown) => {
          const isPassing = error instanceof JournalUnavailable || error instanceof IncarnationLost;
          if (!isPassing) stage.fail(`${this.node.name} announces: ${String(error)}`);
        })
        .finally(() => this.#announce());
    });
  }

  async #tellAll(): Promise<void> {
    const { faults, books } = this.#o.stage;
    const told: string[] = [];
    for (const { announcement, receipt } of await this.journal.unannounced(20)) {
      if (faults.strikes('lose', 'an announcement')) continue;
      books.told(runKey(announcement.id), announcement);
      told.push(receipt);
    }
    if (told.length > 0 && !faults.strikes('lose', 'the answer to announcements')) await this.journal.announced(told);
  }
}
