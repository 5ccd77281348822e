import { runKey } from '@mercato/operator/saga/command.ts';
import type { RunState } from '@mercato/operator/saga/types.ts';
import { ApiServer, stateOf } from './api-server.ts';
import { Books } from './books.ts';
import { Calamities } from './calamities.ts';
import { conservationProblems } from './conservation.ts';
import { drawRevision } from './definitions.ts';
import type { Crew, Desk } from './desk.ts';
import { DynamoCrew } from './dynamo/crew.ts';
import { Faults } from './faults.ts';
import { EVENTS_OF, type JournalName, journalOf } from './journals.ts';
import { Network } from './network.ts';
import { Node } from './node.ts';
import { Operators } from './operators.ts';
import { Customers, Responders } from './people.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { ServiceHost } from './service-host.ts';
import { serviceSources, toldLog } from './services.ts';
import { SqliteCrew } from './sqlite-crew.ts';
import type { Stage } from './stage.ts';

/** Faults end here, in milliseconds. */
const FAULTS_UNTIL = 30_000;
/** By then every run has ended or is held. */
const SETTLED_WITHIN = 600_000;
/** And this much later the books are in order: what came late was found and undone. */
const QUIET_WITHIN = 180_000;

/** How a seed ended. */
export interface Outcome {
  readonly seed: number;
  readonly journal: JournalName;
  /** Empty: all is well. */
  readonly problems: readonly string[];
  /** Which faults the seed had planned. */
  readonly faults: string;
  /** What went wrong, oldest first. */
  readonly struck: readonly string[];
  readonly steps: number;
  /** How each order ended, or why it is held. */
  readonly ends: readonly string[];
}

/** The shop, its operator and the world around them, for one seed: the same seed plays the same, to the last step. */
export class World {
  readonly #seed: number;
  readonly #journal: JournalName;
  readonly #stage: Stage;
  readonly #operators: Crew;
  readonly #customers: Customers;
  readonly #responders: Responders;
  readonly #calamities: Calamities;
  readonly #unserved: string[] = [];
  readonly #problems: string[] = [];

  /** `trace` is told everything that happens, line by line. */
  constructor(seed: number, trace?: (line: string) => void) {
    this.#seed = seed;
    this.#journal = journalOf(seed);
    const random = new Random(`seed ${seed}`);
    const scheduler = new Scheduler(random.fork('scheduler'));
    const note = (text: string) => trace?.(`${(scheduler.now / 1000).toFixed(3).padStart(8)}s ${text}`);
    const faults = new Faults(random.fork('faults'), FAULTS_UNTIL, note, EVENTS_OF[this.#journal]);
    const books: Books = new Books(
      () => this.#stage.api,
      () => scheduler.now,
    );
    let desk: Desk | undefined;
    this.#stage = {
      random,
      scheduler,
      faults,
      network: new Network(scheduler, random.fork('network'), faults),
      api: watchedApi(books, note),
      apiNode: new Node('api', scheduler),
      books,
      hosts: new Map(),
      get desk() {
        return desk as Desk;
      },
      saga: {
        revision: drawRevision(random.fork('revision'), random.fork('definition').int(0, 1)),
        isPaused: false,
        isLetGo: false,
      },
      note,
      fail: (text) => this.#problems.push(text),
    };
    const { crew, desk: made } = operatorsOf(this.#journal, this.#stage);
    this.#operators = crew;
    desk = made;
    this.#customers = new Customers(this.#stage);
    this.#responders = new Responders(this.#stage);
    this.#calamities = new Calamities(this.#stage, this.#operators, this.#customers);
  }

  /** Plays the seed to its end. */
  async play(): Promise<Outcome> {
    const { faults, scheduler, books, hosts } = this.#stage;
    await this.#startServices();
    faults.begin();
    this.#operators.elect(true);
    for (const each of [this.#customers, this.#calamities, this.#responders]) each.start();
    await this.#run(FAULTS_UNTIL, () => false);
    this.#endFaults();
    await this.#run(scheduler.now + SETTLED_WITHIN, () => this.#isSettled());
    await this.#quieten();
    if (books.violation !== undefined) this.#problems.push(books.violation);
    this.#operators.end();
    for (const host of hosts.values()) host.end();
    return {
      seed: this.#seed,
      journal: this.#journal,
      problems: this.#problems,
      faults: faults.describe(),
      struck: faults.struck,
      steps: scheduler.steps,
      ends: [...books.orders.values()].map(({ last }) => last?.ended ?? last?.hold?.reason ?? 'withdrawn'),
    };
  }

  #run(until: number, done: () => boolean): Promise<void> {
    return this.#stage.scheduler.run(until, () => this.#isOver() || done());
  }

  /** Something is wrong that nothing can put right. */
  #isOver(): boolean {
    return this.#stage.books.violation !== undefined || this.#problems.length > 0;
  }

  async #startServices(): Promise<void> {
    const { random, scheduler, faults, books, hosts, note } = this.#stage;
    const sources = serviceSources(random.fork('services'), {
      node: new Node('companies', scheduler),
      acquirerLog: toldLog((entry) => {
        note(`ACQUIRER ${entry.operation} ${entry.outcome} ${entry.orderKey} ${entry.reason ?? entry.amount}`);
        books.acquirer(entry);
      }),
      carrierLog: toldLog((entry) => {
        note(`CARRIER ${entry.operation} ${entry.outcome} ${entry.orderKey} ${entry.reason ?? ''}`);
        books.carrier(entry);
      }),
      unserved: this.#unserved,
      isFaulty: () => faults.on,
    });
    for (const source of sources) {
      const told = (error: unknown) => note(`${source.name}: ${error}`);
      hosts.set(source.name, new ServiceHost(source, scheduler, random.fork(source.name), faults, told));
    }
    let started = false;
    const all = Promise.all([...hosts.values()].map((host) => host.start(true))).then(() => {
      started = true;
    });
    await scheduler.run(1_000, () => started);
    await all;
  }

  #endFaults(): void {
    this.#stage.note('FAULTS END');
    this.#stage.faults.end();
    this.#calamities.end();
    this.#unserved.length = 0;
  }

  /** Every order has ended and is remembered, and its object is gone if it was to go. What stays held keeps this from coming true. */
  #isSettled(): boolean {
    const { api, books } = this.#stage;
    if (this.#customers.left > 0) return false;
    return [...books.orders.values()].every(({ key, last, withdrawn }) => {
      if (withdrawn) return true;
      if (this.#journal !== 'kubernetes' && !books.isTold(key)) return false;
      return last?.ended !== undefined && api.finished.has(key) && api.get(key)?.deleting !== true;
    });
  }

  /** Waits until the books are in order; says what is wrong with them when that does not come. */
  async #quieten(): Promise<void> {
    const { books, api, scheduler, hosts } = this.#stage;
    const until = scheduler.now + QUIET_WITHIN;
    const inventory = (hosts.get('inventory') as ServiceHost).database;
    for (;;) {
      if (this.#isOver()) return;
      const untold = this.#journal === 'kubernetes' ? [] : books.untold();
      const problems = [...conservationProblems(books, api, inventory, scheduler.now), ...untold];
      if (problems.length === 0) return;
      if (scheduler.now >= until) {
        this.#problems.push(...problems);
        return;
      }
      await this.#run(Math.min(until, scheduler.now + 2_000), () => false);
    }
  }
}

function operatorsOf(journal: JournalName, stage: Stage): { readonly crew: Crew; readonly desk: Desk } {
  if (journal === 'kubernetes') {
    const operators = new Operators(stage);
    return { crew: operators, desk: operators };
  }
  const crew = journal === 'sqlite' ? new SqliteCrew(stage) : new DynamoCrew(stage);
  return { crew, desk: crew.desk };
}

function watchedApi(books: Books, note: (text: string) => void): ApiServer {
  return new ApiServer({
    changed: (object, before) => {
      const state = stateOf(object);
      note(`API ${runKey(object.id)} v${object.version} ${state === undefined ? 'no status' : describe(state)}`);
      books.changed(object, before);
    },
    removed: ({ id }) => books.removed(runKey(id)),
    recorded: (id, entry) => books.recorded(runKey(id), entry),
  });
}

function describe(state: RunState): string {
  const steps = state.steps.map(({ name, action, compensation }) => `${name}=${action.state}/${compensation.state}`);
  const course = state.ended ?? (state.hold === undefined ? state.direction : `Held ${state.hold.reason}`);
  return `${course}${state.pivotIntent ? ' pivot' : ''} ${steps.join(' ')}`;
}
