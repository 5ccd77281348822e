import { runKey } from '@mercato/operator/saga/command.ts';
import type { RunInput } from '@mercato/operator/saga/types.ts';
import { drawRevision, NAMESPACE, SAGA } from './definitions.ts';
import type { Crew } from './desk.ts';
import type { EventKind } from './faults.ts';
import type { Customers } from './people.ts';
import type { Random } from './random.ts';
import type { ServiceHost } from './service-host.ts';
import type { Stage } from './stage.ts';

/** Before the pivot, where nothing needs to be durable yet: what a worker did there and did not live to write. */
const UNWRITTEN = / (sent|after) (authorise-payment|commit-stock) /;
/** How long a zone has no power: longer than it takes until a worker's death is noticed. Milliseconds. */
const DARK_MILLIS = [12_000, 17_000] as const;
/** How often it is looked whether there is a worker again. Milliseconds. */
const NEXT_MILLIS = 10;

/** What happens to the world as a whole, at the moments that the seed has planned. */
export class Calamities {
  readonly #stage: Stage;
  readonly #operators: Crew;
  readonly #customers: Customers;
  readonly #random: Random;

  constructor(stage: Stage, operators: Crew, customers: Customers) {
    this.#stage = stage;
    this.#operators = operators;
    this.#customers = customers;
    this.#random = stage.random.fork('calamities');
  }

  start(): void {
    const { faults, scheduler, note } = this.#stage;
    const happen = this.#happenings();
    for (const { kind, at } of faults.events) {
      scheduler.after(at, () => {
        note(`EVENT ${kind}`);
        happen[kind]();
      });
    }
  }

  /** All that lasts is over. */
  end(): void {
    this.#stage.saga.isLetGo = false;
    this.#pause(false);
  }

  #happenings(): Record<EventKind, () => void> {
    const random = this.#random;
    const { api, saga, scheduler, hosts } = this.#stage;
    return {
      zombie: () => this.#operators.makeZombie(),
      handover: () => this.#operators.handOver(),
      outage: () => random.pick([...hosts.values()]).crash('in an outage', random.int(2_000, 12_000)),
      'clock-jump': () => this.#jumpClock(),
      'new-revision': () => {
        saga.revision = drawRevision(random.fork(`revision at ${scheduler.now}`), random.int(0, 1));
      },
      pause: () => {
        this.#pause(true);
        scheduler.after(random.int(1_000, 6_000), () => this.#pause(false));
      },
      'status-lost': () => this.#loseStatus(),
      'status-edited': () => this.#editStatus(),
      'let-go': () => {
        saga.isLetGo = true;
        for (const { id } of api.list()) this.#customers.cancel(runKey(id));
      },
      'power-cut': () => this.#cutPower(),
    };
  }

  /**
   * A worker dies between what it did for a run and the first write of it. A service goes with it, or a person stops the saga until there is power again;
   * meanwhile the customer thinks better of it. Whoever takes the run over turns back before it has repeated anything: it has to doubt what it finds, and to
   * be told what lay there.
   */
  #cutPower(): void {
    const { faults, scheduler, hosts } = this.#stage;
    const random = this.#random.fork('power cut');
    const then = (where: string): void => {
      const millis = random.int(...DARK_MILLIS);
      if (random.chance(0.3)) random.pick([...hosts.values()]).crash('in a power cut', millis);
      else {
        scheduler.after(random.int(0, 1_000), () => this.#pause(true));
        scheduler.after(millis, () => this.#pause(false));
      }
      const key = `${NAMESPACE}/${SAGA}/${where.split(' ').at(-1)}`;
      if (random.chance(0.8)) scheduler.after(random.int(500, millis), () => this.#customers.cancel(key));
      if (random.chance(0.3)) scheduler.after(NEXT_MILLIS, () => this.#rollOut(random));
    };
    faults.doom({ kind: 'worker-crash', where: UNWRITTEN, then });
  }

  /** A new version of the operator comes as soon as the next worker does, which may hold runs by then that it has not looked at. */
  #rollOut(random: Random): void {
    const { scheduler } = this.#stage;
    if (this.#operators.leader?.node.alive) scheduler.after(random.int(0, 40), () => this.#operators.handOver());
    else scheduler.after(NEXT_MILLIS, () => this.#rollOut(random));
  }

  #pause(isPaused: boolean): void {
    this.#stage.saga.isPaused = isPaused;
    if (!isPaused) this.#stage.books.resumed();
    this.#operators.leader?.sagaChanged();
  }

  /** The wall clock of one machine is wrong from now on. By less than the services wait for late requests (2 days). */
  #jumpClock(): void {
    const { hosts, faults } = this.#stage;
    const millis = this.#random.pick([-20_000, -3_000, 5_000, 60_000, 3_600_000, 20 * 3_600_000]);
    const target = this.#random.pick(['worker', ...hosts.keys()]);
    faults.record(`the wall clock of ${target} jumps by ${millis} ms`);
    if (target === 'worker') this.#operators.leader?.node.jump(millis);
    else (hosts.get(target) as ServiceHost).jump(millis);
  }

  /** A backup is restored, or the order is applied a second time; perhaps with another content. */
  #loseStatus(): void {
    const { api, faults, books } = this.#stage;
    const found = api.list();
    if (found.length === 0) return;
    const { id, input } = this.#random.pick(found);
    const key = runKey(id);
    const other = this.#random.chance(0.5) ? otherInput(input) : undefined;
    faults.record(`${key} comes back without its status${other === undefined ? '' : ', with another content'}`);
    books.disturb(key, other);
    // A status that is gone has no version that would keep a process without its lease from writing. What keeps a real one is its clock, to which zombies here
    // do not listen: so that versions alone are seen to do.
    this.#operators.endZombies?.();
    api.restore(key, other ?? input);
  }

  #editStatus(): void {
    const { api, faults, books } = this.#stage;
    const found = api.list().filter(({ status }) => status !== undefined);
    if (found.length === 0) return;
    const key = runKey(this.#random.pick(found).id);
    faults.record(`somebody edits the status of ${key}`);
    books.disturb(key);
    api.patch(key, ({ status }) => {
      const steps = (status?.steps ?? []).map((step) => ({ ...step, state: 'Succeeded' as const }));
      return { status: { ...status, steps } as never };
    });
  }
}

function otherInput(input: RunInput): RunInput {
  const [first, ...rest] = input.lines;
  if (first === undefined) return input;
  return { ...input, lines: [{ ...first, quantity: first.quantity > 1 ? first.quantity - 1 : 2 }, ...rest] };
}
