import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { type Cancel, type Clock, systemClock } from '../clock.ts';
import { before, days, type Milliseconds, milliseconds, minutes, seconds } from '../units.ts';
import type { CloudEvent } from './outbox.ts';
import type { OutboxSource, Subscriber, Swept } from './source.ts';

/** Hands events to one subscriber, all or none; throws when it did not take them, {@link NotTaken} where it said for how long. */
export type SendEvents = (url: string, events: readonly CloudEvent[]) => Promise<void>;

/** A subscriber refused events, and may have said when to come again. */
export class NotTaken extends Error {
  override readonly name = 'NotTaken';
  readonly retryAfter: Milliseconds | undefined;

  constructor(message: string, retryAfter: Milliseconds | undefined) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

export interface RelayOptions {
  readonly outbox: OutboxSource;
  /** Who takes CloudEvents in batched JSON mode (`application/cloudevents-batch+json`) and answers 2xx once they have them; a text is an address. */
  readonly subscribers: readonly (string | Subscriber)[];
  readonly clock?: Clock;
  /** Events in one POST at most. @default 100 */
  readonly batch?: number;
  /** Bytes of events in one POST at most, unless a single one has more. @default 512 KiB: half of what our services take */
  readonly batchBytes?: number;
  /** File with a bearer token that all subscribers take, read again for each POST because such tokens rotate. @default no token */
  readonly tokenFile?: string | undefined;
  /** Pause when there was nothing to send, unless the outbox says that there is. @default 200 ms */
  readonly idle?: Milliseconds;
  /** How long events may gather before they are sent together, when less than a batch waits: a POST for each would cost more. @default 20 ms */
  readonly linger?: Milliseconds;
  /** Longest pause after failures; the first is `idle`, then it doubles. @default 10 s */
  readonly maxBackoff?: Milliseconds;
  /** How long sent events stay. @default 1 h */
  readonly retention?: Milliseconds;
  /** How long an order's sequence is remembered after its last event. @default 70 days: twice the keys' retention */
  readonly sequenceRetention?: Milliseconds;
  readonly send?: SendEvents;
  readonly onError?: (error: unknown, subscriber: string) => void;
}

/**
 * Relays the outbox: to each subscriber in order, at least once. One that does not answer is tried again with backoff and holds up nobody
 * else. Where it got to is committed after the subscriber has the events, so after a crash it gets some of them again.
 *
 * One request at a time goes to each subscriber. What is written meanwhile travels with the next, so that a batch grows with the load: several at
 * once would need their orders kept apart, and carry less each.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #subscribers: ReadonlyMap<string, Subscriber>;
  readonly #clock: Clock;
  readonly #send: (subscriber: Subscriber, events: readonly CloudEvent[]) => Promise<void>;
  readonly #agent: Agent | undefined;
  #stops: Cancel[] = [];
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: RelayOptions) {
    const { send } = options;
    this.#options = options;
    this.#subscribers = new Map(options.subscribers.map(toSubscriber).map((each) => [each.url, each]));
    this.#clock = options.clock ?? systemClock;
    this.#agent =
      send === undefined ? new Agent({ connections: 4, headersTimeout: 10_000, bodyTimeout: 10_000 }) : undefined;
    this.#send =
      send === undefined
        ? ({ url, tokenFile, send: own }, events) =>
            own === undefined ? post(this.#agent!, url, events, tokenFile ?? options.tokenFile) : own(events)
        : ({ url }, events) => send(url, events);
  }

  start(): void {
    for (const subscriber of this.#subscribers.values()) this.#loop(subscriber);
    this.#sweepLoop();
  }

  /** Ends after what is being sent has been sent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#stops) cancel();
    await Promise.all(this.#running);
    await this.#agent?.close();
  }

  /** Sends one batch to one subscriber, named by its address. Returns how many events it took; throws when it did not. */
  async pass(subscriber: string): Promise<number> {
    return (await this.#pass(this.#subscribers.get(subscriber) ?? { url: subscriber })).sent;
  }

  /** Forgets what every subscriber has and what is older than the retention. */
  sweep(): Promise<Swept> {
    const now = this.#clock.now();
    const until = before(now, this.#options.retention ?? minutes(60));
    const forget = before(now, this.#options.sequenceRetention ?? days(70));
    return this.#options.outbox.sweep([...this.#subscribers.values()], until, forget);
  }

  async #pass(subscriber: Subscriber): Promise<{ readonly sent: number; readonly more: boolean }> {
    const { outbox, batch = 100, batchBytes = 512 * 1024 } = this.#options;
    const found = await outbox.unsent(subscriber, { events: batch, bytes: batchBytes });
    if (found === undefined) return { sent: 0, more: false };
    await this.#send(subscriber, found.events);
    await found.markSent();
    return { sent: found.events.length, more: found.more };
  }

  #loop(subscriber: Subscriber): void {
    const { idle = milliseconds(200), linger = milliseconds(20), maxBackoff = seconds(10) } = this.#options;
    let failures = 0;
    let wakes = 0;
    let cancel: Cancel = () => {};
    let isWaiting = false;
    const next = (pause: number) => {
      if (this.#stopped) return;
      isWaiting = pause === idle && failures === 0;
      cancel = this.#clock.schedule(milliseconds(pause), run);
    };
    const turn = async () => {
      isWaiting = false;
      const seen = wakes;
      try {
        const { sent, more } = await this.#pass(subscriber);
        failures = 0;
        next(more ? 0 : sent > 0 || wakes !== seen ? linger : idle);
      } catch (error) {
        this.#options.onError?.(error, subscriber.url);
        const asked = (error instanceof NotTaken ? error.retryAfter : undefined) ?? 0;
        const pause = Math.min(maxBackoff, Math.max(asked, idle * 2 ** failures));
        failures = Math.min(failures + 1, 20);
        next(pause);
      }
    };
    const run = () => this.#track(turn());
    this.#options.outbox.watch?.(() => {
      wakes++;
      // A subscriber that fails is left its pause, whatever is written meanwhile.
      if (!isWaiting) return;
      cancel();
      next(linger);
    });
    run();
    this.#stops.push(() => cancel());
  }

  #track(turn: Promise<void>): void {
    this.#running.add(turn);
    void turn.finally(() => this.#running.delete(turn));
  }

  #sweepLoop(): void {
    let cancel: Cancel = () => {};
    const turn = async () => {
      let isMore = false;
      try {
        isMore = (await this.sweep()).more;
      } catch (error) {
        this.#options.onError?.(error, 'sweep');
      }
      // Stay ahead of what comes in.
      if (!this.#stopped) cancel = this.#clock.schedule(isMore ? milliseconds(100) : minutes(1), run);
    };
    const run = () => this.#track(turn());
    cancel = this.#clock.schedule(minutes(1), run);
    this.#stops.push(() => cancel());
  }
}

/** A subscriber; an address alone is one that gets everything. */
export const toSubscriber = (subscriber: string | Subscriber): Subscriber =>
  typeof subscriber === 'string' ? { url: subscriber } : subscriber;

async function post(
  agent: Agent,
  url: string,
  events: readonly CloudEvent[],
  tokenFile: string | undefined,
): Promise<void> {
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  const { statusCode, headers, body } = await request(url, {
    method: 'POST',
    dispatcher: agent,
    headers: {
      'content-type': 'application/cloudevents-batch+json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(events),
  });
  if (statusCode >= 200 && statusCode <= 299) return body.dump();
  const said = (await body.text()).slice(0, 500);
  const after = Number(headers['retry-after'] ?? Number.NaN);
  throw new NotTaken(
    `${url} answered ${statusCode} to ${events.length} events: ${said}`,
    Number.isFinite(after) ? seconds(after) : undefined,
  );
}
