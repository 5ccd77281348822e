import type { DatabaseSync } from 'node:sqlite';
import { IntakeBusy } from '@mercato/operator/intake/intake.ts';
import { JournalUnavailable } from '@mercato/operator/journals/journal.ts';
import { openFile } from '@mercato/operator/journals/sqlite/schema.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import type { Decision, RunId, RunInput } from '@mercato/operator/saga/types.ts';
import type { Crew, Desk } from './desk.ts';
import { JournalProcess } from './journal-process.ts';
import { Mirror } from './mirror.ts';
import { EPOCH } from './node.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';

/** How long the order service, and whoever has decided something, waits before they say it again. Milliseconds. */
const AGAIN_MILLIS = 400;

/**
 * The operator over the sqlite journal, which it keeps on a database that survives its processes; and the order service, which repeats itself until it was
 * heard.
 */
export class JournalCrew implements Crew, Desk {
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #database: DatabaseSync;
  readonly #mirror: Mirror;
  #leader: JournalProcess | undefined;
  #count = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#random = stage.random.fork('journal crew');
    this.#database = openFile(':memory:');
    this.#mirror = new Mirror(this.#database, stage.api);
  }

  get leader(): JournalProcess | undefined {
    return this.#leader;
  }

  elect(): void {
    this.#count += 1;
    const name = `worker-${this.#count}`;
    this.#stage.note(`BEGINS ${name}`);
    const process: JournalProcess = new JournalProcess({
      stage: this.#stage,
      name,
      database: this.#database,
      random: this.#random.fork(name),
      committed: () => this.#mirror.show(),
      isLeader: () => process === this.#leader,
      died: () => this.#replace(process),
    });
    this.#leader = process;
    process.start();
  }

  /** A second process opens the journal, lock or no lock: the first hears of that with its next commit. */
  makeZombie(): void {
    const { faults, books } = this.#stage;
    const process = this.#leader;
    if (process === undefined || !process.node.alive) return;
    faults.record(`another worker begins while ${process.node.name} goes on`);
    books.zombies = true;
    this.elect();
  }

  handOver(): void {
    const process = this.#leader;
    if (process === undefined || !process.node.alive) return;
    this.#stage.note(`${process.node.name} hands over`);
    void process.handOver().then(() => {
      if (process !== this.#leader || !process.node.alive) return;
      process.stop();
      this.elect();
    });
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
    this.#untilHeard(`a decision on ${key}`, async ({ journal }) => {
      // Whoever has decided otherwise since does not repeat what they said before.
      if (this.#stage.api.get(key)?.decision !== decision) return 'Withdrawn';
      return journal.post(idOf(key), { type: 'Decision', decision });
    });
  }

  /** Over the network, as often as it takes; it may be heard twice, and late. */
  #untilHeard(what: string, tell: (process: JournalProcess) => Promise<unknown>): void {
    const { scheduler, faults, note, fail } = this.#stage;
    const again = () => scheduler.after(AGAIN_MILLIS, () => this.#untilHeard(what, tell));
    const process = this.#leader;
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
        if (!(error instanceof IntakeBusy || error instanceof JournalUnavailable || !process.node.alive))
          fail(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
        over(false);
      },
    );
  }

  #replace(process: JournalProcess): void {
    if (process === this.#leader) this.#stage.scheduler.after(this.#random.int(500, 4_000), () => this.elect());
  }
}

function idOf(key: string): RunId {
  const [namespace = '', saga = '', orderId = ''] = key.split('/');
  return { namespace, saga, orderId };
}
