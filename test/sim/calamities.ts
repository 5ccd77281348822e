import { runKey } from '@mercato/operator/saga/command.ts';
import type { RunInput } from '@mercato/operator/saga/types.ts';
import { drawRevision } from './definitions.ts';
import type { Crew } from './desk.ts';
import type { EventKind } from './faults.ts';
import type { Customers } from './people.ts';
import type { Random } from './random.ts';
import type { ServiceHost } from './service-host.ts';
import type { Stage } from './stage.ts';

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
    };
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
