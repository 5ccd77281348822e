import type { Random } from './random.ts';

interface Task {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * Virtual time. Everything that happens later, whether a message, a timer or the end of a disk write, is a task here; tasks of the same moment run
 * in an order that the seed decides, and between two of them every promise that can go on has gone on.
 */
export class Scheduler {
  readonly #random: Random;
  readonly #heap: Task[] = [];
  #now = 0;
  #steps = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now;
  }

  /** How many tasks have run. */
  get steps(): number {
    return this.#steps;
  }

  /** Runs `task` after `delay` milliseconds. @returns what cancels it. */
  after(delay: number, task: () => void): () => void {
    let cancelled = false;
    const run = () => {
      if (!cancelled) task();
    };
    this.#push({ at: this.#now + Math.max(0, delay), order: this.#random.next(), run });
    return () => {
      cancelled = true;
    };
  }

  /** Runs tasks until `done` says so or nothing is left before `until`. Rejects with what a task throws. */
  run(until: number, done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          const next = this.#heap[0];
          if (done()) return resolve();
          if (next === undefined || next.at > until) {
            this.#now = Math.max(this.#now, until);
            return resolve();
          }
          this.#pop();
          this.#now = next.at;
          this.#steps += 1;
          next.run();
        } catch (error) {
          return reject(error);
        }
        // All that follows from the task by promises alone runs before the next immediate.
        setImmediate(step);
      };
      setImmediate(step);
    });
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let index = heap.push(task) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(task, heap[parent] as Task)) break;
      heap[index] = heap[parent] as Task;
      index = parent;
    }
    heap[index] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Task;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Task, heap[child] as Task)) child += 1;
      if (!isBefore(heap[child] as Task, last)) break;
      heap[index] = heap[child] as Task;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
