import { runKey } from '@mercato/operator/saga/command.ts';
import type { Decision, Hold, RunId } from '@mercato/operator/saga/types.ts';
import { stateOf } from './api-server.ts';
import { drawInput, NAMESPACE, SAGA, SKIPPED_OUTPUTS } from './definitions.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';

/** Orders come in for so long, in milliseconds. */
const ORDERS_WITHIN = 12_000;
/** Enough for what takes its time: a service that is still away, a company that does the work long after it was asked. */
const FINAL_RETRIES = 8;

const INCLINATION: readonly Decision['do'][] = [
  'Retry',
  'Retry',
  'Retry',
  'Skip',
  'Skip',
  'Compensate',
  'Compensate',
  'Abort',
];

/** Those who order, and at times think better of it; some orders come twice. */
export class Customers {
  readonly #stage: Stage;
  /** Orders that are still to come. */
  left = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  start(): void {
    const random = this.#stage.random.fork('orders');
    this.left = random.int(3, 8);
    for (let order = this.left; order >= 1; order--) this.#plan(order, random.fork(`order ${order}`));
  }

  /** The object is deleted: the customer does not want it, or its namespace goes. */
  cancel(key: string): void {
    this.#stage.note(`CANCEL ${key}`);
    this.#stage.desk.cancel(key);
  }

  #plan(order: number, random: Random): void {
    const { scheduler, desk, books, note } = this.#stage;
    const id: RunId = { namespace: NAMESPACE, saga: SAGA, orderId: `o-${order}` };
    const key = runKey(id);
    const input = drawInput(random, order);
    const at = random.int(0, ORDERS_WITHIN);
    scheduler.after(at, () => {
      this.left -= 1;
      note(`ORDER ${key} ${JSON.stringify(input)}`);
      books.accept(key, input);
      desk.place(id, input);
    });
    if (random.chance(0.1)) scheduler.after(at + random.int(1, 3_000), () => desk.place(id, input));
    const second = random.pick([1, 20, 100, 400, 2_000, 8_000]) * random.int(1, 3);
    if (random.chance(0.2)) scheduler.after(at + second, () => this.cancel(key));
  }
}

/** Whoever decides what happens to held runs. */
export class Responders {
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #retried = new Map<string, number>();
  /** Holds that are over, or never were. */
  readonly #oldHolds = ['1-0', '0-none'];

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#random = stage.random.fork('responders');
  }

  start(): void {
    const { api, faults, scheduler } = this.#stage;
    for (const object of api.list()) {
      const hold = stateOf(object)?.hold;
      if (faults.on) this.#decideSomehow(runKey(object.id), hold);
      else if (hold !== undefined) this.#retry(runKey(object.id), hold);
    }
    const next = faults.on ? this.#random.int(500, 3_000) : this.#random.int(3_000, 6_000);
    scheduler.after(next, () => this.start());
  }

  /** While things go wrong, people decide this and that, too late, twice, and for what is over. */
  #decideSomehow(key: string, hold: Hold | undefined): void {
    const random = this.#random;
    if (!random.chance(hold === undefined ? 0.02 : 0.4)) return;
    const isStale = hold === undefined || random.chance(0.15);
    this.#decide(key, {
      holdId: isStale ? random.pick(this.#oldHolds) : hold.id,
      do: random.pick(INCLINATION),
      reason: 'it seemed right',
      by: 'ann',
      ...(random.chance(0.6) ? { outputs: SKIPPED_OUTPUTS } : {}),
      ...(hold?.step !== undefined && random.chance(0.3) ? { step: hold.step } : {}),
    });
    if (hold !== undefined) this.#oldHolds.push(hold.id);
  }

  /** Once nothing goes wrong any more, everything is tried again, often enough. */
  #retry(key: string, hold: Hold): void {
    const count = this.#retried.get(key) ?? 0;
    const given = this.#stage.api.get(key)?.decision;
    if (count >= FINAL_RETRIES || (given?.holdId === hold.id && given.do === 'Retry')) return;
    this.#retried.set(key, count + 1);
    this.#decide(key, { holdId: hold.id, do: 'Retry', reason: 'all is well again', by: 'ben' });
  }

  #decide(key: string, decision: Decision): void {
    this.#stage.note(`DECISION ${key} ${JSON.stringify(decision)}`);
    this.#stage.desk.decide(key, decision);
  }
}
