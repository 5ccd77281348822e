import { IntakeBusy } from '@mercato/operator/intake/intake.ts';
import { JournalUnavailable } from '@mercato/operator/journals/journal.ts';
import { IncarnationLost } from '@mercato/operator/journals/worker-journal.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import type { Decision, RunId, RunInput, RunState } from '@mercato/operator/saga/types.ts';
import { stateOf } from './api-server.ts';
import type { Desk } from './desk.ts';
import type { JournalProcess } from './journal-process.ts';
import { EPOCH } from './node.ts';
import type { Stage } from './stage.ts';

/** How long the order service, and whoever has decided something, waits before they say it again. Milliseconds. */
const AGAIN_MILLIS = 400;

/** A decision that the run has not answered by then is left again, as the keeper of the Views does: an earlier one may have come later. Milliseconds. */
const REPOST_MILLIS = 5_000;

/** The order service, and people, before a journal with workers of its own: they repeat themselves until they were heard. */
export class JournalDesk implements Desk {
  readonly #stage: Stage;
  readonly #process: () => JournalProcess | undefined;

  /** @param process whom they reach now, if anybody; perhaps another each time */
  constructor(stage: Stage, process: () => JournalProcess | undefined) {
    this.#stage = stage;
    this.#process = process;
  }

  place(id: RunId, input: RunInput): void {
    const order = { id, input, placedAt: EPOCH + this.#stage.scheduler.now };
    this.#untilHeard(`the order ${runKey(id)}`, ({ intake }) => intake.take(order));
  }

  cancel(key: string): void {
    const id = idOf(key);
    this.#untilHeard(`the cancel of ${key}`, ({ intake }) => intake.cancel(id, 'the customer thought better of it'));
  }

  decide(key: string, decision: Decision): void {
    // From now on it was asked for, whoever hears of it when.
    this.#stage.api.patch(key, () => ({ decision }));
    this.#carry(key, decision);
  }

  #carry(key: string, decision: Decision): void {
    this.#untilHeard(`a decision on ${key}`, async ({ journal }) => {
      const object = this.#stage.api.get(key);
      // Whoever has decided otherwise since does not repeat what they said before.
      if (object?.decision !== decision) return 'Withdrawn';
      const state = stateOf(object);
      if (state?.ended !== undefined || isAnswered(decision, state?.observedDecision)) return 'Answered';
      const posted = await journal.post(idOf(key), { type: 'Decision', decision });
      this.#stage.scheduler.after(REPOST_MILLIS, () => this.#carry(key, decision));
      return posted;
    });
  }

  /** Over the network, as often as it takes; it may be heard twice, and late. */
  #untilHeard(what: string, tell: (process: JournalProcess) => Promise<unknown>): void {
    const { scheduler, faults, note, fail } = this.#stage;
    const again = () => scheduler.after(AGAIN_MILLIS, () => this.#untilHeard(what, tell));
    const process = this.#process();
    if (process === undefined || !process.node.alive || faults.strikes('lose', what)) return void again();
    // Whoever dies answers nothing: the order service ends its wait and comes again.
    let isOver = false;
    const over = (isHeard: boolean): void => {
      if (isOver) return;
      isOver = true;
      if (!isHeard || faults.strikes('lose', `the answer to ${what}`)) again();
    };
    scheduler.after(2_000, () => over(false));
    tell(process).then(
      (answer) => {
        note(`HEARD ${what}: ${JSON.stringify(answer)}`);
        over(true);
      },
      (error: unknown) => {
        // Who has lost its life, and did not know, hears of that now.
        const isPassing = [IntakeBusy, JournalUnavailable, IncarnationLost].some((kind) => error instanceof kind);
        if (!isPassing && process.node.alive) fail(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
        over(false);
      },
    );
  }
}

function isAnswered({ holdId, do: what }: Decision, seen: RunState['observedDecision']): boolean {
  return seen?.holdId === holdId && (seen.outcome === 'Accepted' || seen.do === what);
}

function idOf(key: string): RunId {
  const [namespace = '', saga = '', orderId = ''] = key.split('/');
  return { namespace, saga, orderId };
}
