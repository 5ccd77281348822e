import { VersionConflict } from '@mercato/operator/journals/journal.ts';
import type { Participants } from '@mercato/operator/participants/participants.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import type { Decision, Hold, Revision, RunId } from '@mercato/operator/saga/types.ts';
import { ApiClient, ApiServer, type RunObject, stateOf } from './api-server.ts';
import { Books } from './books.ts';
import { conservationProblems } from './conservation.ts';
import { drawInput, drawRevision, NAMESPACE, SAGA, SKIPPED_OUTPUTS } from './definitions.ts';
import { type EventKind, Faults } from './faults.ts';
import { Network } from './network.ts';
import { Node } from './node.ts';
import { SimulatedParticipants } from './participants.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { ServiceHost } from './service-host.ts';
import { serviceSources, toldLog } from './services.ts';
import { Worker } from './worker.ts';

/** Faults end here, in milliseconds. */
const FAULTS_UNTIL = 30_000;
/** By then every run has ended or is held. */
const SETTLED_WITHIN = 600_000;
/** And this much later the books are in order: what came late was found and undone. */
const QUIET_WITHIN = 180_000;
const ORDERS_WITHIN = 12_000;

/** How a seed ended. */
export interface Outcome {
  readonly seed: number;
  /** Empty: all is well. */
  readonly problems: readonly string[];
  readonly faults: string;
  readonly struck: readonly string[];
  readonly steps: number;
  /** How each order ended. */
  readonly ends: readonly string[];
}

/** The shop, its operator and the world around them, for one seed. */
export class World {
  readonly #seed: number;
  readonly #random: Random;
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #network: Network;
  readonly #api: ApiServer;
  readonly #apiNode: Node;
  readonly #books: Books;
  readonly #hosts = new Map<string, ServiceHost>();
  readonly #unserved: string[] = [];
  readonly #problems: string[] = [];
  readonly #trace: ((line: string) => void) | undefined;
  readonly #definition: number;
  #revision: Revision;
  #leader: Worker | undefined;
  #workers = 0;
  #ordersLeft = 0;
  #lettingGo = false;

  constructor(seed: number, trace?: (line: string) => void) {
    this.#seed = seed;
    this.#trace = trace;
    this.#random = new Random(`seed ${seed}`);
    this.#scheduler = new Scheduler(this.#random.fork('order'));
    this.#faults = new Faults(this.#random.fork('faults'), FAULTS_UNTIL, (text) => this.#note(text));
    this.#network = new Network(this.#scheduler, this.#random.fork('network'), this.#faults);
    this.#books = new Books(
      () => this.#api,
      () => this.#scheduler.now,
    );
    this.#api = new ApiServer({
      changed: (object, before) => {
        const state = stateOf(object);
        this.#note(
          `API ${runKey(object.id)} v${object.version} ${state === undefined ? 'no status' : describe(state)}`,
        );
        this.#books.changed(object, before);
      },
      removed: ({ id }) => this.#books.removed(runKey(id)),
      recorded: (id, entry) => this.#books.recorded(runKey(id), entry),
    });
    this.#apiNode = new Node('api', this.#scheduler);
    this.#definition = this.#random.fork('definition').int(0, 1);
    this.#revision = drawRevision(this.#random.fork('revision 0'), this.#definition);
  }

  /** Plays the seed to its end. */
  async play(): Promise<Outcome> {
    await this.#startServices();
    this.#faults.begin();
    this.#elect(true);
    this.#placeOrders();
    this.#planEvents();
    this.#watchHolds();
    await this.#run(FAULTS_UNTIL, () => false);
    this.#endFaults();
    const settled = () => this.#ordersLeft === 0 && [...this.#books.orders.keys()].every((key) => this.#isSettled(key));
    await this.#run(this.#scheduler.now + SETTLED_WITHIN, settled);
    await this.#quieten();
    if (this.#books.violation !== undefined) this.#problems.push(this.#books.violation);
    this.#leader?.stop();
    return {
      seed: this.#seed,
      problems: this.#problems,
      faults: this.#faults.describe(),
      struck: this.#faults.struck,
      steps: this.#scheduler.steps,
      ends: [...this.#books.orders.values()].map(({ last }) => last?.ended ?? last?.hold?.reason ?? 'withdrawn'),
    };
  }

  #run(until: number, done: () => boolean): Promise<void> {
    return this.#scheduler.run(until, () => this.#isOver() || done());
  }

  #isOver(): boolean {
    return this.#books.violation !== undefined || this.#problems.length > 0;
  }

  /** Waits until the books are in order; says what is wrong with them when that does not come. */
  async #quieten(): Promise<void> {
    const inventory = this.#host('inventory').database;
    const until = this.#scheduler.now + QUIET_WITHIN;
    for (;;) {
      if (this.#isOver()) return;
      const problems = conservationProblems(this.#books, this.#api, inventory, this.#scheduler.now);
      if (problems.length === 0) return;
      if (this.#scheduler.now >= until) {
        this.#problems.push(...problems);
        return;
      }
      await this.#run(Math.min(until, this.#scheduler.now + 2_000), () => false);
    }
  }

  async #startServices(): Promise<void> {
    const companies = {
      node: new Node('companies', this.#scheduler),
      acquirerLog: toldLog((entry: Parameters<Books['acquirer']>[0]) => {
        this.#note(`ACQUIRER ${entry.operation} ${entry.outcome} ${entry.orderKey} ${entry.reason ?? entry.amount}`);
        this.#books.acquirer(entry);
      }),
      carrierLog: toldLog((entry: Parameters<Books['carrier']>[0]) => {
        this.#note(`CARRIER ${entry.operation} ${entry.outcome} ${entry.orderKey} ${entry.reason ?? ''}`);
        this.#books.carrier(entry);
      }),
      unserved: this.#unserved,
      isFaulty: () => this.#faults.on,
    };
    const starting: Promise<void>[] = [];
    for (const source of serviceSources(this.#random.fork('services'), companies)) {
      const random = this.#random.fork(`host ${source.name}`);
      const host = new ServiceHost(source, this.#scheduler, random, this.#faults, (error) =>
        this.#note(`${source.name}: ${error}`),
      );
      this.#hosts.set(source.name, host);
      starting.push(host.start(true));
    }
    let started = false;
    const all = Promise.all(starting).then(() => {
      started = true;
    });
    await this.#scheduler.run(1_000, () => started);
    await all;
  }

  #host(name: string): ServiceHost {
    return this.#hosts.get(name) as ServiceHost;
  }

  // The operator.

  #elect(died: boolean): void {
    this.#workers += 1;
    const name = `worker-${this.#workers}`;
    const node = new Node(name, this.#scheduler);
    this.#note(`ELECTED ${name}`);
    let worker: Worker | undefined;
    const mayDie = (point: string): boolean => {
      if (!node.alive) return true;
      if (!this.#faults.strikes('worker-crash', `${name} ${point}`)) return false;
      this.#kill(worker);
      return true;
    };
    const random = this.#random.fork(name);
    const client = new ApiClient(this.#api, this.#apiNode, node, this.#network, this.#faults, mayDie);
    const participants = new SimulatedParticipants(node, this.#network, this.#faults, random, this.#hosts, mayDie);
    worker = new Worker(
      {
        api: this.#api,
        client,
        participants: this.#observed(participants, () => worker),
        node,
        watchLag: () => random.int(1, 30) + (this.#faults.strikes('watch-lag', name) ? random.int(200, 5000) : 0),
        currentRevision: () => this.#revision,
        reasonToLetGo: () => (this.#lettingGo ? 'its namespace is being deleted' : undefined),
        isPaused: () => this.#paused,
        ended: (id) => this.#books.ended(runKey(id)),
        onError: (error) => this.#problems.push(`${name}: ${error instanceof Error ? error.stack : String(error)}`),
      },
      died,
    );
    this.#leader = worker;
    worker.start();
  }

  /** Shows each command to the books as it leaves. */
  #observed(participants: Participants, worker: () => Worker | undefined): Participants {
    return {
      send: (id, effect, signal) => {
        const driven = worker()?.runner.find(id);
        const isZombie = worker() !== this.#leader;
        const isAlone = !this.#books.zombies;
        this.#note(`SEND ${effect.key} epoch ${effect.epoch} send ${effect.send}${isZombie ? ' (zombie)' : ''}`);
        if (driven !== undefined) this.#books.sent(runKey(id), effect, driven.revision, isAlone);
        return participants.send(id, effect, signal).then((answer) => {
          this.#note(`ANSWER ${effect.key} send ${effect.send}: ${JSON.stringify(answer)}`);
          return answer;
        });
      },
    };
  }

  #kill(worker: Worker | undefined): void {
    if (worker === undefined || !worker.node.alive) return;
    this.#retire(worker);
    // A zombie has a successor already.
    if (worker === this.#leader) this.#scheduler.after(this.#random.int(500, 4_000), () => this.#elect(true));
  }

  #makeZombie(): void {
    const worker = this.#leader;
    if (worker === undefined || !worker.node.alive) return;
    this.#faults.record(`${worker.node.name} loses its lease and goes on`);
    this.#books.zombies = true;
    worker.beginNothing();
    this.#elect(true);
    this.#scheduler.after(this.#random.int(100, 8_000), () => {
      this.#note(`${worker.node.name} stops`);
      this.#retire(worker);
    });
  }

  #retire(worker: Worker): void {
    worker.node.die();
    worker.stop();
  }

  #handOver(): void {
    const worker = this.#leader;
    if (worker === undefined || !worker.node.alive) return;
    this.#note(`${worker.node.name} hands over`);
    void worker.release().then(() => {
      if (worker !== this.#leader || !worker.node.alive) return;
      this.#retire(worker);
      this.#elect(false);
    });
  }

  // The world around it.

  #placeOrders(): void {
    const random = this.#random.fork('orders');
    const count = random.int(3, 8);
    this.#ordersLeft = count;
    for (let order = 1; order <= count; order++) {
      const id: RunId = { namespace: NAMESPACE, saga: SAGA, orderId: `o-${order}` };
      const key = runKey(id);
      const input = drawInput(random, order);
      const at = random.int(0, ORDERS_WITHIN);
      this.#scheduler.after(at, () => {
        this.#ordersLeft -= 1;
        this.#note(`ORDER ${key} ${JSON.stringify(input)}`);
        this.#books.accept(key, input);
        this.#api.create(id, input);
        if (random.chance(0.1)) this.#scheduler.after(random.int(1, 3_000), () => this.#api.create(id, input));
      });
      if (random.chance(0.2))
        this.#scheduler.after(at + random.pick([1, 20, 100, 400, 2_000, 8_000]) * random.int(1, 3), () =>
          this.#cancel(key),
        );
    }
  }

  #cancel(key: string): void {
    this.#note(`CANCEL ${key}`);
    this.#api.delete(key);
  }

  #planEvents(): void {
    const random = this.#random.fork('events');
    const orders = () => this.#api.list();
    const happen: Record<EventKind, () => void> = {
      zombie: () => this.#makeZombie(),
      handover: () => this.#handOver(),
      outage: () => random.pick([...this.#hosts.values()]).crash('in an outage', random.int(2_000, 12_000)),
      'clock-jump': () => this.#jump(random),
      'new-revision': () => {
        this.#revision = drawRevision(random.fork(`revision ${this.#scheduler.now}`), this.#definition);
      },
      pause: () => this.#pause(random.int(1_000, 6_000)),
      'status-lost': () => {
        const found = orders();
        if (found.length > 0) this.#loseStatus(runKey(random.pick(found).id), random.chance(0.5));
      },
      'status-edited': () => {
        const found = orders().filter(({ status }) => status !== undefined);
        if (found.length > 0) this.#editStatus(runKey(random.pick(found).id));
      },
      'let-go': () => {
        this.#lettingGo = true;
        for (const { id } of orders()) this.#cancel(runKey(id));
      },
    };
    for (const { kind, at } of this.#faults.events) {
      this.#scheduler.after(at, () => {
        this.#note(`EVENT ${kind}`);
        happen[kind]();
      });
    }
  }

  /** The wall clock of one machine is wrong from now on. Less than what the services wait for late requests (2 days). */
  #jump(random: Random): void {
    const millis = random.pick([-20_000, -3_000, 5_000, 60_000, 3_600_000, 20 * 3_600_000]);
    const target = random.pick(['worker', ...this.#hosts.keys()]);
    this.#faults.record(`the wall clock of ${target} jumps by ${millis} ms`);
    if (target === 'worker') this.#leader?.node.jump(millis);
    else this.#host(target).jump(millis);
  }

  #pause(millis: number): void {
    this.#setPaused(true);
    this.#scheduler.after(millis, () => this.#setPaused(false));
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#books.resumed();
    this.#leader?.sagaChanged();
  }

  #loseStatus(key: string, changed: boolean): void {
    this.#faults.record(`${key} comes back without its status${changed ? ', with another content' : ''}`);
    const { input } = this.#api.get(key) as RunObject;
    const [first, ...rest] = input.lines;
    const isOther = changed && first !== undefined;
    const applied = isOther
      ? { ...input, lines: [{ ...first, quantity: first.quantity > 1 ? first.quantity - 1 : 2 }, ...rest] }
      : input;
    this.#books.disturb(key, isOther ? applied : undefined);
    this.#api.patch(key, () => ({ status: undefined as never, input: applied }));
  }

  #editStatus(key: string): void {
    this.#faults.record(`somebody edits the status of ${key}`);
    this.#books.disturb(key);
    this.#api.patch(key, ({ status }) => {
      const steps = (status?.steps ?? []).map((step) => ({ ...step, state: 'Succeeded' as const }));
      return { status: { ...status, steps } as never };
    });
  }

  // Whoever decides what happens to held runs.

  #watchHolds(): void {
    const random = this.#random.fork('person');
    const retried = new Map<string, number>();
    const look = (): void => {
      for (const object of this.#api.list()) {
        const hold = stateOf(object)?.hold;
        if (this.#faults.on) this.#decideSomehow(random, runKey(object.id), hold);
        else if (hold !== undefined) this.#retry(runKey(object.id), hold, retried);
      }
      this.#scheduler.after(this.#faults.on ? random.int(500, 3_000) : random.int(3_000, 6_000), look);
    };
    look();
  }

  /** While things go wrong, people decide this and that, too late, twice, and for what is over. */
  #decideSomehow(random: Random, key: string, hold: Hold | undefined): void {
    if (!random.chance(hold === undefined ? 0.02 : 0.4)) return;
    const action = random.pick<Decision['do']>([
      'Retry',
      'Retry',
      'Retry',
      'Skip',
      'Skip',
      'Compensate',
      'Compensate',
      'Abort',
    ]);
    const isStale = hold === undefined || random.chance(0.15);
    const holdId = isStale ? random.pick(this.#oldHolds) : hold.id;
    this.#decide(key, {
      holdId,
      do: action,
      reason: 'it seemed right',
      by: 'ann',
      ...(random.chance(0.6) ? { outputs: SKIPPED_OUTPUTS } : {}),
      ...(hold?.step !== undefined && random.chance(0.3) ? { step: hold.step } : {}),
    });
    if (hold !== undefined) this.#oldHolds.push(hold.id);
  }

  /** Once nothing goes wrong any more, everything is tried again, often enough. */
  #retry(key: string, hold: Hold, retried: Map<string, number>): void {
    const count = retried.get(key) ?? 0;
    const given = this.#api.get(key)?.decision;
    if (count >= FINAL_RETRIES || (given?.holdId === hold.id && given.do === 'Retry')) return;
    retried.set(key, count + 1);
    this.#decide(key, { holdId: hold.id, do: 'Retry', reason: 'all is well again', by: 'ben' });
  }

  #decide(key: string, decision: Decision): void {
    this.#note(`DECISION ${key} ${JSON.stringify(decision)}`);
    try {
      this.#api.patch(key, () => ({ decision }));
    } catch (error) {
      if (!(error instanceof VersionConflict)) throw error;
    }
  }

  readonly #oldHolds = ['1-0', '0-none'];
  #paused = false;

  #endFaults(): void {
    this.#note('FAULTS END');
    this.#faults.end();
    this.#lettingGo = false;
    this.#setPaused(false);
    this.#unserved.length = 0;
  }

  /** It has ended and is remembered, or it is held and no Retry helps. */
  #isSettled(key: string): boolean {
    const object = this.#api.get(key);
    const order = this.#books.orders.get(key);
    if (order?.withdrawn) return true;
    const state = order?.last;
    if (state?.ended !== undefined) return this.#api.finished.has(key) && (object === undefined || !object.deleting);
    return false;
  }

  #note(text: string): void {
    this.#trace?.(`${(this.#scheduler.now / 1000).toFixed(3).padStart(8)}s ${text}`);
  }
}

/** Enough for what takes its time: a service that is still away, a company that does the work long after it was asked. */
const FINAL_RETRIES = 8;

function describe(state: NonNullable<ReturnType<typeof stateOf>>): string {
  const steps = state.steps.map(({ name, action, compensation }) => `${name}=${action.state}/${compensation.state}`);
  const course = state.ended ?? (state.hold === undefined ? state.direction : `Held ${state.hold.reason}`);
  return `${course}${state.pivotIntent ? ' pivot' : ''} ${steps.join(' ')}`;
}
