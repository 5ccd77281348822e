import type { ReceivedMail, WorkerJournal } from '../journals/worker-journal.ts';
import type { Runner } from '../runner/runner.ts';
import { runKey } from '../saga/command.ts';
import type { Decision, RunId, RunState } from '../saga/types.ts';
import type { WorkerMetrics } from './metrics.ts';

/**
 * Carries what people and programs left for runs to the runner, and takes it away once the journal shows what came of it: until then it is found again
 * after a crash. Telling a run the same twice changes nothing.
 */
export class Mailman {
  readonly #journal: WorkerJournal;
  readonly #runner: Runner;
  readonly #metrics: WorkerMetrics;
  readonly #wake: (id: RunId) => Promise<boolean>;
  /** Receipts of what the runner was told in this life. */
  #told = new Set<string>();
  /** Runs with mail that was not settled, as of the last round. */
  #addressees = new Set<string>();

  /** @param wake has a run driven that is at rest. @returns whether it was */
  constructor(journal: WorkerJournal, runner: Runner, metrics: WorkerMetrics, wake: (id: RunId) => Promise<boolean>) {
    this.#journal = journal;
    this.#runner = runner;
    this.#metrics = metrics;
    this.#wake = wake;
  }

  /** Whether a run had mail, as of the last round, that is not settled. */
  hasMailFor(id: RunId): boolean {
    return this.#addressees.has(runKey(id));
  }

  /** Looks once. Rejects with the journal's errors. */
  async round(): Promise<void> {
    const mail = await this.#journal.mail();
    const told = new Set<string>();
    const settled: ReceivedMail[] = [];
    this.#addressees = new Set(mail.map(({ id }) => runKey(id)));
    for (const one of mail) {
      // What it was told before it went to rest, it has forgotten where it was not written.
      if (await this.#wake(one.id)) this.#told.delete(one.receipt);
      if (await this.#isSettled(one)) settled.push(one);
      else if (this.#tell(one)) told.add(one.receipt);
    }
    this.#told = told;
    if (settled.length > 0) await this.#journal.settleMail(settled.map(({ receipt }) => receipt));
  }

  /** @returns false where nobody drives the run yet: it waits for a place, and is told when it has one */
  #tell({ id, mail, receipt }: ReceivedMail): boolean {
    if (this.#told.has(receipt)) return true;
    const event =
      mail.type === 'Cancel'
        ? ({ type: 'Cancelled', reason: mail.reason } as const)
        : ({ type: 'Decided', decision: mail.decision as Decision } as const);
    const isTold = this.#runner.tell(id, event);
    if (isTold) this.#metrics.mail.inc({ type: mail.type });
    return isTold;
  }

  async #isSettled({ id, mail, receipt }: ReceivedMail): Promise<boolean> {
    const driven = this.#runner.find(id);
    if (driven === undefined) return this.#hasEnded(id);
    return this.#told.has(receipt) && shows(driven, mail);
  }

  async #hasEnded(id: ReceivedMail['id']): Promise<boolean> {
    const record = (await this.#journal.look(id))?.record;
    // It may have ended, and been forgotten, between the post and now.
    return record === undefined || ('state' in record && record.state?.ended !== undefined);
  }
}

/** What came of it is in memory first; it must be in the journal. */
function shows({ state, durable }: { state: RunState; durable: RunState }, mail: ReceivedMail['mail']): boolean {
  if (mail.type === 'Cancel') return durable.cancel !== undefined;
  const { observedDecision } = durable;
  if (observedDecision !== state.observedDecision) return false;
  return observedDecision?.holdId === mail.decision.holdId && observedDecision.do === mail.decision.do;
}
