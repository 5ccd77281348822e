import type { DatabaseSync } from 'node:sqlite';
import { VirtualClock } from '../clock.ts';
import { type CommandKind, formatKey } from '../key.ts';
import { unsent } from '../outbox/outbox.ts';
import type { Answer } from '../participant/answer.ts';
import type { Participant } from '../participant/participant.ts';
import type { Migrations } from '../store/migrations.ts';
import { Crash, type CrashPoint, type CrashPointName, type Store } from '../store/port.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { instant, milliseconds, toRfc3339 } from '../units.ts';

/** One command of one order, as a test sends it. */
export interface BenchCommand {
  readonly command: string;
  /** @default order-1 */
  readonly orderId?: string;
  /** @default step */
  readonly step?: string;
  /** @default action */
  readonly kind?: CommandKind;
  /** @default 1 */
  readonly epoch?: number;
  readonly body: unknown;
}

/** What a service is assembled from on the bench. */
export interface BenchPorts {
  readonly store: Store;
  readonly clock: VirtualClock;
  readonly crashPoint: CrashPoint;
  readonly onError: (error: unknown) => void;
}

/**
 * A service without its server, on a real store in memory and on a clock that the test moves: for services whose commands call out.
 * The database outlives the service, which can be made to die at a crash point and be started again.
 */
export class ParticipantBench<Service extends { readonly participant: Participant }> {
  readonly clock: VirtualClock;
  /** What went wrong inside, oldest first. */
  readonly errors: unknown[] = [];
  service: Service;
  readonly #migrations: readonly Migrations[];
  readonly #build: (ports: BenchPorts) => Service;
  readonly #database: DatabaseSync = openDatabase(':memory:');
  readonly #begun: string;
  #store: Store;
  #armed: CrashPointName | undefined;

  constructor(
    migrations: readonly Migrations[],
    build: (ports: BenchPorts) => Service,
    clock = new VirtualClock(instant(Date.UTC(2026, 10, 22, 12))),
  ) {
    this.clock = clock;
    this.#begun = toRfc3339(clock.now());
    this.#migrations = migrations;
    this.#build = build;
    [this.#store, this.service] = this.#start();
  }

  /** A new process on what the old one had committed. */
  restart(): void {
    [this.#store, this.service] = this.#start();
  }

  /** The process dies when it next gets to this point: `send` then rejects with Crash. */
  crashAt(point: CrashPointName): void {
    this.#armed = point;
  }

  /** Carries out one command; virtual time passes while it waits for others. */
  send(sent: BenchCommand): Promise<Answer> {
    const { command, orderId = 'order-1', step = 'step', kind = 'action', epoch = 1, body } = sent;
    const key = formatKey({ namespace: 'shop', saga: 'checkout', orderId, step, kind });
    return this.passing(this.service.participant.execute({ command, key, epoch, begun: this.#begun, body }));
  }

  /** As send, repeated every 500 ms while the answer is not final, `attempts` times at most: what the engine does. */
  async repeat(sent: BenchCommand, attempts = 5): Promise<Answer> {
    let answer = await this.send(sent);
    for (let i = 1; i < attempts && (answer.status === 202 || answer.status === 425 || answer.status >= 500); i++) {
      this.clock.advance(milliseconds(500));
      answer = await this.send(sent);
    }
    return answer;
  }

  /** Lets virtual time pass, 50 ms at a time, until the work is done; work that waits for nobody takes none. */
  async passing<R>(work: Promise<R>): Promise<R> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    work.then(done, done);
    for (let turns = 0; !isDone; turns++) {
      if (turns > 10_000) throw new Error('not done after 500 s of virtual time');
      await new Promise((resolve) => setImmediate(resolve));
      if (turns > 5) this.clock.advance(milliseconds(50));
    }
    return work;
  }

  /** The types of all events so far, without the part that they share. */
  async events(): Promise<string[]> {
    const found = await this.#store.read((reader) => unsent(reader, 'nobody', 10_000));
    return found.map(({ event }) => event.type.split('.').at(-1) ?? '');
  }

  /** All rows of all tables as text, for looking for what must not be stored. */
  everythingStored(): string {
    const tables = this.#database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    return tables.map(({ name }) => JSON.stringify(this.#database.prepare(`SELECT * FROM ${name}`).all())).join('\n');
  }

  #start(): [Store, Service] {
    const store = new SqliteStore(this.#database, { migrations: this.#migrations });
    const crashPoint: CrashPoint = (point) => {
      if (point !== this.#armed) return;
      this.#armed = undefined;
      throw new Crash(`the process died at "${point}"`);
    };
    const onError = (error: unknown) => void this.errors.push(error);
    return [store, this.#build({ store, clock: this.clock, crashPoint, onError })];
  }
}
