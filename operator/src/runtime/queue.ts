import { type BackoffOptions, backoffDelay } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';

/** What a queue tells about itself; see `metrics.ts` for where it goes. Times are seconds, as in Prometheus. */
export interface QueueObserver {
  added(): void;
  /** A worker took a key that had waited this long. */
  taken(waitedSeconds: number): void;
  /** A worker gave a key back after this long. */
  finished(workedSeconds: number): void;
  retried(): void;
}

const unobserved: QueueObserver = { added() {}, taken() {}, finished() {}, retried() {} };

/** How a queue is made. */
export interface WorkQueueOptions {
  /** @default the machine's clock */
  clock?: Clock;
  /** Delay before the n-th retry of one key. @default 5 ms doubling to 1000 s, as controller-runtime's per-item limiter */
  backoff?: BackoffOptions;
  observer?: QueueObserver;
}

/**
 * Defaults of client-go's ItemExponentialFailureRateLimiter as controller-runtime uses it. Its second limiter, 10 retries a second over all
 * keys, is left out: bounded concurrency and per-key growth bound the load already, and it would delay the recovery of thousands of orders.
 */
export const DEFAULT_BACKOFF: BackoffOptions = { baseMs: 5, maxMs: 1_000_000 };

/**
 * A queue of keys that holds each key at most once and never hands one key to two workers: the semantics of client-go's `workqueue`.
 *
 * - `add` of a key that waits does nothing; of a key that is being worked on, makes it wait again once `done` is called. So every `add` is
 *   followed by at least one `get` of that key that starts after it.
 * - Keys come out in the order in which they went in. A key that fails goes to the back.
 * - Every `get` that returned a key must be answered by `done`.
 */
export class WorkQueue<K extends string = string> {
  readonly #clock: Clock;
  readonly #backoff: BackoffOptions;
  readonly #observer: QueueObserver;

  /** Keys that wait, in order; `#head` is the first one. Shifting an array is linear, so the array is cut now and then instead. */
  #order: K[] = [];
  #head = 0;
  /** Keys that need work, with the time they were added: all that wait, and those added while they were worked on. */
  readonly #dirty = new Map<K, number>();
  /** Keys with a worker, with the time it took them. */
  readonly #processing = new Map<K, number>();
  readonly #failures = new Map<K, number>();
  readonly #delayed = new DelayHeap<K>();
  #cancelTimer: (() => void) | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #waiting: ((key: K | undefined) => void)[] = [];
  #stopped = false;
  #drained: (() => void)[] = [];

  constructor(options: WorkQueueOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#backoff = options.backoff ?? DEFAULT_BACKOFF;
    this.#observer = options.observer ?? unobserved;
  }

  /** How many keys wait for a worker now; delayed ones not counted. */
  get length(): number {
    return this.#order.length - this.#head;
  }

  /** How many keys wait for their time. */
  get delayed(): number {
    return this.#delayed.size;
  }

  /** How many keys are with a worker. */
  get processing(): number {
    return this.#processing.size;
  }

  /** Whether `shutDown` was called. */
  get isShutDown(): boolean {
    return this.#stopped;
  }

  /** Asks for one more look at `key`. Ignored after `shutDown`. */
  add(key: K): void {
    if (this.#stopped || this.#dirty.has(key)) return;
    this.#dirty.set(key, this.#clock.monotonic());
    this.#observer.added();
    if (!this.#processing.has(key)) this.#enqueue(key);
  }

  /** As `add`, `ms` milliseconds from now. Of several delays for one key the earliest holds. Ignored after `shutDown`. */
  addAfter(key: K, ms: number): void {
    if (this.#stopped) return;
    if (!(ms > 0)) {
      this.add(key);
      return;
    }
    this.#delayed.put(key, this.#clock.monotonic() + ms);
    this.#arm();
  }

  /** As `add`, after the key's backoff, which grows with each call until `forget`. Returns the delay in milliseconds. */
  addRateLimited(key: K): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observer.retried();
    const delay = backoffDelay(this.#backoff, failures);
    this.addAfter(key, delay);
    return delay;
  }

  /** Ends the key's backoff: its next retry waits the shortest time again. */
  forget(key: K): void {
    this.#failures.delete(key);
  }

  /** How often `addRateLimited` was called for the key since it was last forgotten. */
  retries(key: K): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, as soon as there is one; `undefined` once the queue is shut down and empty. Waiters are served in turn. */
  get(): Promise<K | undefined> {
    const key = this.#take();
    if (key !== undefined || this.#stopped) return Promise.resolve(key);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a key back. It waits again if it was added meanwhile. Throws if no worker has it: that is a bug that would hide lost work. */
  done(key: K): void {
    const since = this.#processing.get(key);
    if (since === undefined) throw new Error(`work queue: done("${key}") without a get that returned it`);
    this.#processing.delete(key);
    this.#observer.finished((this.#clock.monotonic() - since) / 1000);
    if (this.#dirty.has(key)) this.#enqueue(key);
    this.#settleDrain();
  }

  /** Accepts no more keys and drops delayed ones; what waits is still handed out. */
  shutDown(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#delayed.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(undefined);
    this.#settleDrain();
  }

  /** Shuts down, drops what waits as well, and resolves when every worker has given its key back. */
  async shutDownWithDrain(): Promise<void> {
    this.#order = [];
    this.#head = 0;
    this.#dirty.clear();
    this.shutDown();
    if (this.#processing.size === 0) return;
    await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** Seconds that workers have spent on keys that they still hold, summed; and the longest of them. */
  unfinished(): { totalSeconds: number; longestSeconds: number } {
    const now = this.#clock.monotonic();
    let total = 0;
    let longest = 0;
    for (const since of this.#processing.values()) {
      total += now - since;
      longest = Math.max(longest, now - since);
    }
    return { totalSeconds: total / 1000, longestSeconds: longest / 1000 };
  }

  #enqueue(key: K): void {
    this.#order.push(key);
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) waiter(this.#take());
  }

  #take(): K | undefined {
    const key = this.#order[this.#head];
    if (key === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#order.length) {
      this.#order = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#head);
      this.#head = 0;
    }
    const now = this.#clock.monotonic();
    this.#observer.taken((now - (this.#dirty.get(key) ?? now)) / 1000);
    this.#dirty.delete(key);
    this.#processing.set(key, now);
    return key;
  }

  /** Sets the one timer to the earliest delayed key. */
  #arm(): void {
    const at = this.#delayed.earliest();
    if (at === undefined || at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#clock.after(at - this.#clock.monotonic(), () => this.#release());
  }

  #release(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#cancelTimer = undefined;
    const now = this.#clock.monotonic();
    for (let key = this.#delayed.takeDue(now); key !== undefined; key = this.#delayed.takeDue(now)) this.add(key);
    this.#arm();
  }

  #settleDrain(): void {
    if (!this.#stopped || this.#processing.size > 0) return;
    const drained = this.#drained;
    this.#drained = [];
    for (const resolve of drained) resolve();
  }
}

interface Delayed<K> {
  key: K;
  at: number;
  /** Position in the heap. */
  index: number;
}

/** A binary heap by time with one entry a key, so that a key asked for a thousand times costs one entry. */
class DelayHeap<K> {
  #heap: Delayed<K>[] = [];
  readonly #byKey = new Map<K, Delayed<K>>();

  get size(): number {
    return this.#heap.length;
  }

  clear(): void {
    this.#heap = [];
    this.#byKey.clear();
  }

  earliest(): number | undefined {
    return this.#heap[0]?.at;
  }

  /** Adds the key, or moves it forward; a later time than the one it has changes nothing. */
  put(key: K, at: number): void {
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      if (at >= known.at) return;
      known.at = at;
      this.#up(known);
      return;
    }
    const entry = { key, at, index: this.#heap.length };
    this.#byKey.set(key, entry);
    this.#heap.push(entry);
    this.#up(entry);
  }

  /** Removes and returns the earliest key if its time has come. */
  takeDue(now: number): K | undefined {
    const top = this.#heap[0];
    if (top === undefined || top.at > now) return undefined;
    this.#byKey.delete(top.key);
    const last = this.#heap.pop()!;
    if (last !== top) {
      this.#place(last, 0);
      this.#down(last);
    }
    return top.key;
  }

  #place(entry: Delayed<K>, index: number): void {
    entry.index = index;
    this.#heap[index] = entry;
  }

  #up(entry: Delayed<K>): void {
    let index = entry.index;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#heap[parentIndex]!;
      if (parent.at <= entry.at) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(entry, index);
  }

  #down(entry: Delayed<K>): void {
    let index = entry.index;
    for (;;) {
      let childIndex = 2 * index + 1;
      const left = this.#heap[childIndex];
      if (left === undefined) break;
      const right = this.#heap[childIndex + 1];
      const child = right !== undefined && right.at < left.at ? right : left;
      if (child === right) childIndex += 1;
      if (child.at >= entry.at) break;
      this.#place(child, index);
      index = childIndex;
    }
    this.#place(entry, index);
  }
}
