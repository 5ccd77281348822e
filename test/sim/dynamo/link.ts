import type { Calls, Send } from '@mercato/operator/journals/dynamodb/calls.ts';
import { type Call, DYNAMO_ERRORS, type DynamoFault, isWrite } from '@mercato/operator/testing/dynamo-faults.ts';
import type { Faults } from '../faults.ts';
import type { Machine } from '../journal-process.ts';
import type { Scheduler } from '../scheduler.ts';
import type { SimulatedTable } from './table.ts';

/** How long a client waits: what `connect` of the adapter says. Milliseconds. */
const TIMEOUT_MILLIS = 3_000;
/** What DynamoDB says when it does nothing. */
const REFUSALS: readonly DynamoFault[] = ['conflict', 'throttled', 'throughput'];

/** What becomes of a call: it may be done, and it may be answered, neither of which follows from the other. */
interface Fate {
  /** It never arrives. */
  readonly isLost?: boolean;
  readonly done: boolean;
  /** Instead of the answer; `silence`: none comes. */
  readonly answer?: Error | 'silence';
}

/**
 * One process's way to the simulated table. Calls take their time, and may be carried out long after their process has given them up, or has died. Faults:
 * refused (throttled, a conflict), 500 with the write done or not, lost on the way there or back, late. The process may die before and after each write.
 */
export class Link {
  readonly #machine: Machine;
  readonly #table: SimulatedTable;
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  #cutUntil = 0;

  constructor(machine: Machine, table: SimulatedTable, scheduler: Scheduler, faults: Faults) {
    this.#machine = machine;
    this.#table = table;
    this.#scheduler = scheduler;
    this.#faults = faults;
  }

  /** For so long nothing that it sends arrives. */
  cut(millis: number): void {
    this.#cutUntil = this.#scheduler.now + millis;
  }

  readonly send: Send = (name, input) => {
    const { node, mayDie, random } = this.#machine;
    const what = `${node.name}: ${describe({ name, input })}`;
    const writes = isWrite({ name, input });
    if (!node.alive || (writes && mayDie(`before ${what}`))) return new Promise(() => {});
    const fate = this.#fate(what);
    const there = this.#latency(what);
    const back = writes ? random.int(1, 4) : 0;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (tell: () => void): void => {
        if (isOver) return;
        isOver = true;
        if (!writes || !mayDie(`after ${what}`)) tell();
      };
      if (fate.answer === 'silence' || there + back >= TIMEOUT_MILLIS)
        node.after(TIMEOUT_MILLIS, () => end(() => reject(DYNAMO_ERRORS.unsent())));
      if (fate.isLost === true) return;
      this.#scheduler.after(there, () => {
        const outcome = this.#carryOut(name, input, fate);
        if (outcome === 'silence') return;
        const answered = () => end(() => ('error' in outcome ? reject(outcome.error) : resolve(outcome.answer)));
        // A read shows nobody anything on its way back: one step less of the many.
        if (writes) node.after(back, answered);
        else node.whenAwake(answered);
      });
    });
  };

  #carryOut<Name extends keyof Calls>(
    name: Name,
    input: Calls[Name]['input'],
    { done, answer }: Fate,
  ): { readonly answer: Calls[Name]['output'] } | { readonly error: unknown } | 'silence' {
    let carriedOut: { readonly answer: Calls[Name]['output'] } | { readonly error: unknown } | undefined;
    if (done) {
      try {
        carriedOut = { answer: this.#table.carryOut(name, input) };
      } catch (error) {
        carriedOut = { error };
      }
    }
    if (answer === 'silence') return 'silence';
    return answer !== undefined || carriedOut === undefined ? { error: answer } : carriedOut;
  }

  #fate(what: string): Fate {
    const { random } = this.#machine;
    if (this.#scheduler.now < this.#cutUntil || this.#faults.strikes('lose', what))
      return { isLost: true, done: false, answer: 'silence' };
    if (this.#faults.strikes('disk-full', `${what} is refused`))
      return { done: false, answer: DYNAMO_ERRORS[random.pick(REFUSALS)]() };
    if (!this.#faults.strikes('journal-timeout', what)) return { done: true };
    const done = random.chance(0.7);
    return { done, answer: random.chance(0.5) ? 'silence' : DYNAMO_ERRORS.internal() };
  }

  #latency(what: string): number {
    const { random } = this.#machine;
    const usual = random.int(1, 6);
    return this.#faults.strikes('delay', what) ? usual + random.int(20, 6_000) : usual;
  }
}

function describe({ name, input }: Call): string {
  const keys = 'Key' in input ? input.Key : 'Item' in input ? input.Item : undefined;
  return keys === undefined ? name : `${name} ${keys['pk']?.S} ${keys['sk']?.S}`;
}
