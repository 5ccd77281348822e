import { DynamoJournal } from '@mercato/operator/journals/dynamodb/journal.ts';
import { FENCE_MILLIS } from '@mercato/operator/journals/dynamodb/lives.ts';
import { JOURNAL_TABLE } from '@mercato/operator/journals/dynamodb/table.ts';
import type { Crew, Desk } from '../desk.ts';
import { JournalDesk } from '../journal-desk.ts';
import { JournalProcess, KEPT_MILLIS, type Machine } from '../journal-process.ts';
import type { Random } from '../random.ts';
import type { Stage } from '../stage.ts';
import { Link } from './link.ts';
import { DynamoMirror } from './mirror.ts';
import { SimulatedTable } from './table.ts';

/** How far a machine's wall clock is off. */
const OFF_MILLIS = [0, 0, -600_000, 600_000] as const;

/** Workers that share the dynamodb journal, on a simulated table. */
export class DynamoCrew implements Crew {
  readonly desk: Desk;
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #table: SimulatedTable;
  readonly #links = new Map<JournalProcess, Link>();
  #count = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#random = stage.random.fork('dynamo crew');
    const { scheduler, faults, api, books } = stage;
    const mirror = new DynamoMirror(api, books, () => scheduler.now);
    const lags = this.#random.fork('lags');
    this.#table = new SimulatedTable({
      declaration: JOURNAL_TABLE,
      now: () => scheduler.now,
      lag: () => lags.int(1, 30) + (faults.strikes('watch-lag', 'an index') ? lags.int(200, 5_000) : 0),
      changed: (items) => mirror.show(items),
    });
    this.desk = new JournalDesk(stage, () => this.leader);
  }

  /** Whoever is reached. */
  get leader(): JournalProcess | undefined {
    const living = [...this.#links.keys()];
    return living.length === 0 ? undefined : this.#random.pick(living);
  }

  elect(): void {
    for (let workers = this.#random.int(2, 3); workers > 0; workers--) this.#begin();
  }

  /**
   * A worker stands still, or cannot reach the table, for longer or shorter than the others wait before they take its runs. Until it hears of that it
   * goes on with what it has.
   */
  makeZombie(): void {
    const process = this.leader;
    if (process === undefined) return;
    const millis = this.#random.int(4_000, 20_000);
    const stands = this.#random.chance(0.5);
    const how = stands ? 'stands still' : 'cannot reach the table';
    this.#stage.faults.record(`${process.node.name} ${how} for ${millis} ms`);
    if (stands) process.node.freeze(millis);
    else this.#links.get(process)?.cut(millis);
  }

  handOver(): void {
    const process = this.leader;
    if (process === undefined) return;
    this.#stage.note(`${process.node.name} hands over`);
    void process.handOver().then(() => {
      if (!process.node.alive) return;
      process.stop();
      this.#links.delete(process);
      this.#begin();
    });
  }

  end(): void {
    for (const process of this.#links.keys()) process.stop();
  }

  #begin(): void {
    this.#count += 1;
    const name = `worker-${this.#count}`;
    this.#stage.note(`BEGINS ${name}`);
    const random = this.#random.fork(name);
    let link: Link | undefined;
    const process: JournalProcess = new JournalProcess({
      stage: this.#stage,
      name,
      random,
      journal: (machine) => {
        link = new Link(machine, this.#table, this.#stage.scheduler, this.#stage.faults);
        return journalOf(machine, link, random.fork('chance'));
      },
      fenceMillis: FENCE_MILLIS,
      isZombie: () => false,
      died: () => {
        this.#links.delete(process);
        this.#stage.scheduler.after(this.#random.int(500, 4_000), () => this.#begin());
      },
    });
    process.node.jump(this.#random.pick(OFF_MILLIS));
    if (link !== undefined) this.#links.set(process, link);
    process.start();
  }
}

function journalOf({ node }: Machine, { send }: Link, random: Random): DynamoJournal {
  return new DynamoJournal({
    connection: { send, close: () => undefined },
    table: JOURNAL_TABLE.name,
    retention: { ended: () => KEPT_MILLIS },
    name: node.name,
    clock: node,
    chance: {
      name: (bytes) => Array.from({ length: bytes }, () => random.int(16, 255).toString(16)).join(''),
      fraction: () => random.next(),
    },
  });
}
