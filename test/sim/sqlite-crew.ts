import type { DatabaseSync } from 'node:sqlite';
import { InProcess } from '@mercato/operator/journals/sqlite/in-process.ts';
import { SqliteJournal } from '@mercato/operator/journals/sqlite/journal.ts';
import { type Call, CommitFailed, type Executor } from '@mercato/operator/journals/sqlite/operations.ts';
import { openFile } from '@mercato/operator/journals/sqlite/schema.ts';
import type { Crew, Desk } from './desk.ts';
import { JournalDesk } from './journal-desk.ts';
import { JournalProcess, KEPT_MILLIS, type Machine } from './journal-process.ts';
import type { Random } from './random.ts';
import { Mirror } from './sqlite-mirror.ts';
import type { Stage } from './stage.ts';

/** The operator over the sqlite journal, which it keeps on a database that survives its processes. */
export class SqliteCrew implements Crew {
  readonly desk: Desk;
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
    this.#mirror = new Mirror(this.#database, stage.api, stage.books);
    this.desk = new JournalDesk(stage, () => this.#leader);
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
      random: this.#random.fork(name),
      journal: (machine) => this.#journal(machine),
      isZombie: () => process !== this.#leader,
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

  end(): void {
    this.#leader?.stop();
  }

  #replace(process: JournalProcess): void {
    if (process === this.#leader) this.#stage.scheduler.after(this.#random.int(500, 4_000), () => this.elect());
  }

  #journal(machine: Machine): SqliteJournal {
    const { node, random } = machine;
    return new SqliteJournal({
      executor: this.#disk(machine),
      retention: { ended: () => KEPT_MILLIS },
      wall: () => node.wall(),
      defer: (flush) => void node.after(random.int(0, 3), flush),
    });
  }

  /** It takes its time, it may be full, and the process may die before and after it has everything. */
  #disk({ node, random, mayDie }: Machine): Executor {
    const { faults } = this.#stage;
    let group = '';
    const file = new InProcess(() => this.#database, {
      borrowed: true,
      at: (point) => {
        if (point === 'answer') this.#mirror.show();
        if (mayDie(`${point} of ${group}`)) throw new Error('the process died');
        const kind = point === 'commit' ? 'disk-full' : 'journal-timeout';
        if (faults.strikes(kind, `${node.name}: ${group}`)) throw new Error('database or disk is full');
      },
    });
    const execute = (life: number | undefined, calls: readonly Call[]) =>
      new Promise<readonly unknown[]>((resolve, reject) => {
        node.after(random.int(1, 8), () => {
          group = calls.map(([name]) => name).join(', ');
          try {
            const results = file.carryOut(life, calls);
            if (node.alive) resolve(results);
          } catch (error) {
            // Who died hears nothing.
            if (node.alive) reject(error instanceof Error ? error : new CommitFailed(String(error)));
          }
        });
      });
    return { execute, close: () => file.close() };
  }
}
