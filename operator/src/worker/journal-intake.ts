import { sagaKey } from '../controllers/ordersaga/controller.ts';
import {
  type Intake,
  IntakeBusy,
  IntakeRefused,
  mustBeWatched,
  type PlacedOrder,
  type Taken,
} from '../intake/intake.ts';
import { Patience } from '../intake/patience.ts';
import { IncarnationLost, type WorkerJournal } from '../journals/worker-journal.ts';
import type { Clock } from '../runtime/clock.ts';
import { runKey } from '../saga/command.ts';
import type { RunId } from '../saga/types.ts';
import type { Definitions, Verdict } from './definitions.ts';
import type { Worker } from './worker.ts';

/** A saga that is missing or wrong is put right by people, who take minutes. */
const SAGA_PATIENCE_MILLIS = 600_000;
/** How soon an order may come again that nothing can be done for by itself. */
const SAGA_RETRY_MILLIS = 5_000;
const BUSY_RETRY_MILLIS = 1_000;

export interface JournalIntakeOptions {
  readonly worker: Worker;
  readonly journal: WorkerJournal;
  readonly definitions: Definitions;
  readonly clock: Clock;
  /** Namespaces that this operator looks after; empty: all. */
  readonly namespaces: readonly string[];
}

/** Intake for a journal with workers of its own: an order becomes a row, and its run begins at once on this worker. */
export class JournalIntake implements Intake {
  readonly #o: JournalIntakeOptions;
  readonly #patience: Patience;

  constructor(options: JournalIntakeOptions) {
    this.#o = options;
    this.#patience = new Patience(options.clock, SAGA_PATIENCE_MILLIS);
  }

  get room(): number {
    return this.#o.worker.room;
  }

  async take({ id, input, placedAt, traceparent }: PlacedOrder): Promise<Taken> {
    const { worker, journal, definitions } = this.#o;
    mustBeWatched(id, this.#o.namespaces);
    const verdict = definitions.verdict(id.namespace, id.saga);
    if (!verdict.accepted) return this.#notYet(id, verdict);
    this.#patience.forget(sagaKey(id.namespace, id.saga));
    return this.#counted(async () => {
      const { revision } = verdict;
      await definitions.store(id.namespace, id.saga, revision);
      const run = {
        id,
        input,
        revision: revision.hash,
        createdAt: placedAt,
        ...(traceparent === undefined ? {} : { traceparent }),
      };
      const creation = await journal.create(run);
      if (creation.type !== 'Created') return 'Known';
      worker.begin(run, revision, creation.version);
      return 'Begun';
    });
  }

  async cancel(id: RunId, reason: string): Promise<'Told' | 'Ended'> {
    mustBeWatched(id, this.#o.namespaces);
    const posted = await this.#counted(() => this.#o.journal.post(id, { type: 'Cancel', reason }));
    if (posted === 'Posted') return 'Told';
    if (posted === 'Ended') return 'Ended';
    throw new IntakeBusy(`${runKey(id)} is not known yet: its order is still on its way`, BUSY_RETRY_MILLIS);
  }

  /** A stop waits for what is being written, so that nothing is written by a worker that has handed over. */
  async #counted<T>(work: () => Promise<T>): Promise<T> {
    const { worker } = this.#o;
    const { refusal } = worker;
    if (refusal !== undefined) throw new IntakeBusy(refusal, BUSY_RETRY_MILLIS);
    worker.enter();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof IncarnationLost)) throw error;
      worker.lose(error);
      throw new IntakeBusy(error.message, BUSY_RETRY_MILLIS);
    } finally {
      worker.leave();
    }
  }

  /** A run that was begun before the saga went is driven to its end: its order must not be told to have been refused. */
  async #notYet(id: RunId, { reason, message }: Extract<Verdict, { accepted: false }>): Promise<'Known'> {
    if (!this.#patience.isOver(sagaKey(id.namespace, id.saga))) throw new IntakeBusy(message, SAGA_RETRY_MILLIS);
    if ((await this.#counted(() => this.#o.journal.look(id))) !== undefined) return 'Known';
    throw new IntakeRefused(reason, message);
  }
}
