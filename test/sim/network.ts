import type { Faults } from './faults.ts';
import type { Node } from './node.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** Messages between nodes: each takes its time, so they overtake each other; with faults they are lost, late, or come twice. */
export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #faults: Faults;

  constructor(scheduler: Scheduler, random: Random, faults: Faults) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#faults = faults;
  }

  /**
   * Has `work` done at `to`, and its result brought back to `from`. `undefined`: the connection was refused, or ended without an answer. It may never
   * resolve: the caller minds its own time.
   */
  call<A>(from: Node, to: () => Node, what: string, work: () => Promise<A | undefined>): Promise<A | undefined> {
    return new Promise((resolve, reject) => {
      const back = (answer: A | undefined): void => {
        if (this.#isLost(what, 'answer')) return;
        this.#scheduler.after(this.#latency(what, 'answer'), () => {
          from.whenAwake(() => resolve(answer));
        });
      };
      const arrive = (): void => {
        if (!to().alive) return back(undefined);
        work().then(back, reject);
      };
      if (this.#isLost(what, 'request')) return;
      this.#scheduler.after(this.#latency(what, 'request'), arrive);
      if (this.#faults.strikes('duplicate', what)) this.#scheduler.after(this.#latency(what, 'copy'), arrive);
    });
  }

  #isLost(what: string, part: string): boolean {
    return this.#faults.strikes('lose', `${what} ${part}`);
  }

  #latency(what: string, part: string): number {
    const usual = this.#random.int(1, 10);
    return this.#faults.strikes('delay', `${what} ${part}`) ? usual + this.#random.int(20, 6000) : usual;
  }
}
