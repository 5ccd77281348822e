import { Backoff } from '../runtime/backoff.ts';
import { type Clock, pause } from '../runtime/clock.ts';
import type { EntryOutcome, Queue, Received } from './sqs.ts';

/** What is to become of a message that was dealt with. */
export type Disposal =
  /** It is done with. */
  | { readonly do: 'Delete' }
  /** It is to come again, to whoever asks, `after` so many milliseconds. */
  | {
      readonly do: 'Return';
      readonly after: number;
      /** What it needs is away, and so will be what the next one needs: receive nothing for a while. @default false */
      readonly outage?: boolean;
    };

/** How a queue is received from. */
export interface ReceiversOptions {
  readonly queue: Queue;
  /** Deals with one message. What it throws returns the message as an outage does. */
  readonly handle: (message: Received) => Promise<Disposal>;
  /** Told what went wrong; everything here goes on after it. */
  readonly onError: (error: unknown, doing: 'receive' | 'handle' | 'delete' | 'hide') => void;
  /** Told each message that was disposed of, once it is. Must not throw. @default nobody */
  readonly onDisposed?: (message: Received, disposal: Disposal) => void;
  readonly clock: Clock;
  /** Receives at once. @default 4 */
  readonly receivers?: number;
  /** Messages in hand at most, over all receivers. @default 200 */
  readonly maxInHand?: number;
  /**
   * Messages that whoever deals with them has room for now: no more are asked for, so that they go to another who has. Where there is none, one message a
   * second is asked for all the same: it may be one that makes room. @default as many as come
   */
  readonly room?: () => number;
  /** How long one receive waits for a message: a stop has to wait as long. Seconds. @default 10 */
  readonly wait?: number;
  /** How long a message stays invisible to others; prolonged while it is in hand. Seconds. @default 30 */
  readonly visibility?: number;
  /** How long a message is kept invisible at most: work that has not ended then is given up on, and the message comes again. Seconds. @default 900 */
  readonly patience?: number;
}

interface InHand {
  readonly message: Received;
  readonly since: number;
  prolongedAt: number;
  /** Whatever comes of the work, the message is another's by now. */
  givenUp: boolean;
}

/** How often who had no room is asked again. Milliseconds. */
const ROOM_EVERY_MS = 50;
/** How often one message is asked for where there is no room. Milliseconds. */
const ANYWAY_EVERY_MS = 1_000;

const OUTAGE_BACKOFF = { baseMs: 250, maxMs: 10_000, jitter: 0.5 } as const;

/**
 * Receives from a queue in parallel and sees each message to its end: invisible to others for as long as it is in hand, deleted only after `handle` said
 * so, shown again at once when this process stops before. A message may still come twice, as SQS's standard queues do: `handle` must bear that.
 */
export class Receivers {
  readonly #options: ReceiversOptions;
  readonly #maxInHand: number;
  readonly #visibility: number;
  readonly #patience: number;
  readonly #room: () => number;
  #anywayAt = Number.NEGATIVE_INFINITY;
  readonly #stopping = new AbortController();
  /** Cuts receives off. What SQS was about to hand over then comes again only when its invisibility is over. */
  readonly #cut = new AbortController();
  readonly #inHand = new Set<InHand>();
  readonly #handling = new Set<Promise<void>>();
  readonly #outage = new Backoff(OUTAGE_BACKOFF);
  #loops: Promise<void>[] = [];
  /** Places that receives under way may fill. */
  #reserved = 0;
  #placeFreed = Promise.withResolvers<void>();
  #resumeAt = Number.NEGATIVE_INFINITY;
  #cancelTick: () => void = () => {};
  #stopped: Promise<void> | undefined;

  constructor(options: ReceiversOptions) {
    this.#options = options;
    this.#maxInHand = options.maxInHand ?? 200;
    this.#visibility = options.visibility ?? 30;
    this.#patience = options.patience ?? 900;
    this.#room = options.room ?? (() => Number.POSITIVE_INFINITY);
  }

  /** Messages that are received and not disposed of. */
  get inHand(): number {
    return this.#inHand.size;
  }

  start(): void {
    this.#loops = Array.from({ length: this.#options.receivers ?? 4 }, () => this.#receive());
    this.#tick();
  }

  /**
   * Asks for no more, waits up to `grace` milliseconds for what is in hand and for receives under way, and shows to others what is not done then, and
   * what still came.
   */
  stop(grace: number): Promise<void> {
    this.#stopped ??= this.#stop(grace);
    return this.#stopped;
  }

  async #stop(grace: number): Promise<void> {
    this.#stopping.abort();
    this.#placeFreed.resolve();
    const loops = Promise.all(this.#loops);
    const ended = new AbortController();
    await Promise.race([
      loops.then(() => Promise.all(this.#handling)).finally(() => ended.abort()),
      pause(this.#options.clock, grace, ended.signal),
    ]);
    this.#cut.abort();
    await loops;
    this.#cancelTick();
    const rest = [...this.#inHand].filter((held) => !held.givenUp);
    for (const held of rest) held.givenUp = true;
    await Promise.all(rest.map(({ message }) => this.#hide(message, 0)));
  }

  async #receive(): Promise<void> {
    const { queue, clock, onError, wait = 10 } = this.#options;
    const { signal } = this.#stopping;
    const backoff = new Backoff(OUTAGE_BACKOFF);
    while (!signal.aborted) {
      await pause(clock, this.#resumeAt - clock.monotonic(), signal);
      const max = await this.#reserve();
      if (max === 0) return;
      try {
        const { signal: cut } = this.#cut;
        const messages = await queue.receive({ visibility: this.#visibility, wait, max, signal: cut });
        if (signal.aborted) await Promise.all(messages.map((message) => this.#hide(message, 0)));
        else for (const message of messages) this.#take(message);
        backoff.reset();
      } catch (error) {
        if (this.#cut.signal.aborted) return;
        onError(error, 'receive');
        await pause(clock, backoff.next(), signal);
      } finally {
        this.#release(max);
      }
    }
  }

  /** Places for what a receive brings, up to ten; none once it stops. */
  async #reserve(): Promise<number> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      if (signal.aborted) return 0;
      const free = this.#maxInHand - this.#inHand.size - this.#reserved;
      const places = Math.min(10, free, this.#roomNow(clock.monotonic()));
      if (places > 0) {
        this.#reserved += places;
        return places;
      }
      if (free > 0) await pause(clock, ROOM_EVERY_MS, signal);
      else await this.#placeFreed.promise;
    }
  }

  /** What receives under way will bring is on its way into that room. */
  #roomNow(now: number): number {
    const room = this.#room() - this.#reserved;
    if (room > 0 || now < this.#anywayAt) return room;
    this.#anywayAt = now + ANYWAY_EVERY_MS;
    return 1;
  }

  #release(places: number): void {
    this.#reserved -= places;
    this.#placeFreed.resolve();
    this.#placeFreed = Promise.withResolvers();
  }

  #take(message: Received): void {
    const now = this.#options.clock.monotonic();
    const held = { message, since: now, prolongedAt: now, givenUp: false };
    this.#inHand.add(held);
    const handling = this.#handle(held).finally(() => {
      this.#inHand.delete(held);
      this.#handling.delete(handling);
      this.#release(0);
    });
    this.#handling.add(handling);
  }

  async #handle(held: InHand): Promise<void> {
    const { message } = held;
    const disposal = await this.#disposalOf(message);
    if (held.givenUp) return;
    if (disposal.do === 'Delete') {
      this.#outage.reset();
      if (!(await this.#delete(message))) return;
    } else {
      if (disposal.outage === true) this.#pauseReceiving();
      await this.#hide(message, disposal.after / 1000);
    }
    this.#options.onDisposed?.(message, disposal);
  }

  /** All that is in hand tells of the same outage: it counts once. */
  #pauseReceiving(): void {
    const now = this.#options.clock.monotonic();
    if (now >= this.#resumeAt) this.#resumeAt = now + this.#outage.next();
  }

  async #disposalOf(message: Received): Promise<Disposal> {
    try {
      return await this.#options.handle(message);
    } catch (error) {
      this.#options.onError(error, 'handle');
      return { do: 'Return', after: 1000 * Math.min(2 ** message.receives, 300), outage: true };
    }
  }

  /** A message that could not be deleted comes again, and is then deleted. */
  #delete(message: Received): Promise<boolean> {
    return this.#settle('delete', this.#options.queue.delete(message.receipt));
  }

  /** A message that could not be hidden or shown comes again when its time is over. */
  #hide(message: Received, seconds: number): Promise<boolean> {
    return this.#settle('hide', this.#options.queue.hide(message.receipt, seconds));
  }

  async #settle(doing: 'delete' | 'hide', done: Promise<EntryOutcome>): Promise<boolean> {
    try {
      const outcome = await done;
      if (outcome === 'Done') return true;
      this.#options.onError(new Error(`${outcome.code}: ${outcome.message}`), doing);
    } catch (error) {
      this.#options.onError(error, doing);
    }
    return false;
  }

  /** Prolongs what has used up a third of its time, so that two prolongations may fail before another gets the message. */
  #tick(): void {
    const third = (this.#visibility * 1000) / 3;
    this.#cancelTick = this.#options.clock.after(third / 2, () => {
      const now = this.#options.clock.monotonic();
      for (const held of this.#inHand) {
        if (held.givenUp) continue;
        if (now - held.since > this.#patience * 1000) {
          held.givenUp = true;
          this.#options.onError(new Error(`message ${held.message.id} took over ${this.#patience} s`), 'handle');
        } else if (now - held.prolongedAt >= third) {
          held.prolongedAt = now;
          void this.#hide(held.message, this.#visibility);
        }
      }
      this.#tick();
    });
  }
}
