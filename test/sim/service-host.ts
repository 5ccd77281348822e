import type { DatabaseSync } from 'node:sqlite';
import {
  type Answer,
  type Clock,
  type Command,
  type CommandRequest,
  Crash,
  type CrashPoint,
  type Migrations,
  openDatabase,
  type Participant,
  type ParticipantOptions,
  SqliteStore,
  type Store,
  StoreError,
} from '@mercato/kit';
import type { Faults } from './faults.ts';
import { Node } from './node.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** A service as it runs: made anew after each crash, over the same database file. */
export interface Service {
  readonly participant: Participant;
  readonly commands: readonly Command[];
  /** What it does by itself now and then: sweeping what has expired, asking about what is open. */
  readonly chores?: () => Promise<unknown>;
}

export interface ServiceSource {
  readonly name: string;
  readonly migrations: readonly Migrations[];
  /** Puts in what the service has from the beginning. */
  prepare?(store: Store): Promise<void>;
  make(store: Store, clock: Clock, hooks: Pick<ParticipantOptions, 'crashPoint' | 'onError'>): Service;
}

const CHORES_EVERY_MILLIS = 1_500;

/** Runs one service's real code over a real SQLite database, and lets it die and come back. */
export class ServiceHost {
  readonly name: string;
  readonly database: DatabaseSync;
  readonly #source: ServiceSource;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #onError: (error: unknown) => void;
  #node: Node;
  #participant: Participant | undefined;
  #declared: Record<string, readonly string[]> = {};
  #offset = 0;

  constructor(
    source: ServiceSource,
    scheduler: Scheduler,
    random: Random,
    faults: Faults,
    onError: (error: unknown) => void,
  ) {
    this.name = source.name;
    this.#source = source;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#faults = faults;
    this.#onError = onError;
    this.database = openDatabase(':memory:');
    this.#node = new Node(source.name, scheduler);
  }

  get node(): Node {
    return this.#node;
  }

  get declared(): Readonly<Record<string, readonly string[]>> {
    return this.#declared;
  }

  async start(isFirst: boolean): Promise<void> {
    this.#node = new Node(this.name, this.#scheduler);
    this.#node.jump(this.#offset);
    const node = this.#node;
    const store = this.#open(node);
    const { prepare } = this.#source;
    if (isFirst && prepare !== undefined) await prepare(store);
    const hooks = { crashPoint: this.#crashPoint(node), onError: this.#onError };
    const service = this.#source.make(store, node, hooks);
    const { participant } = service;
    this.#declared = Object.fromEntries(service.commands.map((command) => [command.name, command.reasons]));
    if (!isFirst && this.#random.chance(0.7)) await participant.recover().catch(unlessCrash);
    this.#participant = participant;
    this.#doChores(node, async () => {
      await service.chores?.();
      if (this.#random.chance(0.2)) await participant.recover();
    });
  }

  /** Carries a command out. `undefined`: the connection ended without an answer. */
  async execute(request: CommandRequest): Promise<Answer | undefined> {
    const node = this.#node;
    if (!node.alive || this.#participant === undefined) return undefined;
    const answer = await this.#participant.execute(request).catch(unlessCrash);
    return node.alive ? answer : undefined;
  }

  /** Ends the process now; it comes back after `millis`. */
  crash(why: string, millis: number): void {
    if (!this.#node.alive) return;
    this.#faults.record(`${this.name} dies ${why}, for ${millis} ms`);
    this.#node.die();
    this.#participant = undefined;
    this.#scheduler.after(millis, () => this.#restart());
  }

  #restart(): void {
    this.start(false).catch((error: unknown) => {
      if (!(error instanceof StoreError)) return unlessCrash(error);
      this.crash('at its start', 500);
    });
  }

  /** Moves its wall clock, beyond restarts too. */
  jump(millis: number): void {
    this.#offset += millis;
    this.#node.jump(millis);
  }

  /** The simulation is over. */
  end(): void {
    this.#node.die();
    this.database.close();
  }

  #open(node: Node): SqliteStore {
    return new SqliteStore(this.database, {
      migrations: this.#source.migrations,
      defer: (flush) => node.after(this.#random.int(0, 3), flush),
      crashPoint: this.#crashPoint(node),
    });
  }

  #crashPoint(node: Node): CrashPoint {
    return (point) => {
      if (!node.alive) throw new Crash();
      if (this.#faults.strikes('service-crash', `${this.name} at ${point}`)) {
        this.crash(`at ${point}`, this.#random.int(50, 3000));
        throw new Crash();
      }
      if (point === 'commit' && this.#faults.strikes('disk-full', this.name))
        throw new Error('database or disk is full');
    };
  }

  #doChores(node: Node, chores: () => Promise<unknown>): void {
    const turn = (): void => {
      void chores()
        .catch((error: unknown) => {
          if (!(error instanceof Crash)) this.#onError(error);
        })
        .then(() => node.after(CHORES_EVERY_MILLIS, turn));
    };
    node.after(CHORES_EVERY_MILLIS, turn);
  }
}

function unlessCrash(error: unknown): undefined {
  if (error instanceof Crash) return undefined;
  throw error;
}
