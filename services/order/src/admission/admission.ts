import { type Milliseconds, milliseconds } from '@mercato/kit';

/** When to turn requests away. */
export interface AdmissionOptions {
  /** Requests under way at most, however fast they end. @default 2000 */
  readonly ceiling?: number;
  /**
   * Requests that are let in however long they wait. As many as take a small part of the target to carry out: with fewer it is not they who make anybody
   * wait, but the disk, or the turning away of thousands that come again at once, and refusing more would only do less. @default 128: some 10 ms of work
   */
  readonly floor?: number;
  /** How long a request may wait for its commit, as a rule. @default 50 ms */
  readonly target?: Milliseconds;
  /** How often it is decided anew how many are let in. @default 100 ms */
  readonly interval?: Milliseconds;
}

/** How fast the limit falls while requests wait too long, and rises while it is what keeps them out. */
const FALL = 0.75;
const RISE = 1.1;

/** So many overloaded intervals in a row are a queue that stands; fewer are a burst. */
const STANDING = 2;

/** Told to clients: the shortest and the longest pause. */
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;

/**
 * Decides who is let in, by how long requests wait: a queue that stands is turned away at the door, before it makes everybody late.
 *
 * As in CoDel (RFC 8289) a burst is no overload, a queue that stays is: an interval counts as overloaded when more than half of the requests that ended in it
 * had waited longer than the target. From the second in a row on the number of requests under way at once falls by a quarter; it rises by a tenth in each other interval in which it
 * was reached. (Adapting concurrency by delay: TCP Vegas, and Netflix's concurrency-limits.)
 *
 * A pure policy: times are passed in, in milliseconds of any clock that only goes on.
 */
export class Admission {
  readonly #ceiling: number;
  readonly #floor: number;
  readonly #target: number;
  readonly #interval: number;
  #limit: number;
  #inFlight = 0;
  #ended = 0;
  #late = 0;
  #wasReached = false;
  /** Overloaded intervals in a row. */
  #bad = 0;
  #until: number | undefined;

  constructor(options: AdmissionOptions = {}) {
    this.#ceiling = options.ceiling ?? 2000;
    this.#floor = Math.min(options.floor ?? 128, this.#ceiling);
    this.#target = options.target ?? 50;
    this.#interval = options.interval ?? 100;
    this.#limit = this.#ceiling;
  }

  /** How many requests may be under way now. */
  get limit(): number {
    return this.#limit;
  }

  /** How many are. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** How long a client that comes now should stay away; undefined when it may come in. Changes nothing but the time. */
  refusal(now: number): Milliseconds | undefined {
    this.#roll(now);
    if (this.#inFlight < this.#limit) return undefined;
    this.#wasReached = true;
    return milliseconds(Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** Math.max(0, Math.floor(this.#bad / 10))));
  }

  /** A request begins, which was not refused. Each is to be ended by {@link leave}. */
  enter(): void {
    this.#inFlight++;
    if (this.#inFlight >= this.#limit) this.#wasReached = true;
  }

  /** A request ends. @param waited how long it took */
  leave(now: number, waited: number): void {
    this.#roll(now);
    this.#inFlight--;
    this.#ended++;
    if (waited > this.#target) this.#late++;
  }

  #roll(now: number): void {
    this.#until ??= now + this.#interval;
    if (now < this.#until) return;
    if (this.#late * 2 > this.#ended) {
      this.#bad++;
      if (this.#bad >= STANDING)
        this.#limit = Math.max(this.#floor, Math.floor(Math.min(this.#limit, this.#inFlight + this.#ended) * FALL));
    } else {
      this.#bad = 0;
      if (this.#wasReached) this.#limit = Math.min(this.#ceiling, Math.ceil(this.#limit * RISE));
    }
    this.#ended = 0;
    this.#late = 0;
    this.#wasReached = false;
    this.#until = now + this.#interval;
  }
}
