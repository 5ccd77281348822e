import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { type Cancel, type Clock, systemClock } from '../clock.ts';
import { sweepAll } from '../sweep.ts';
import { before, days, type Milliseconds, milliseconds, minutes, seconds } from '../units.ts';
import { NotTaken, placesAgain } from './not-taken.ts';
import type { CloudEvent } from './outbox.ts';
import type { OutboxSource, Subscriber, Swept } from './source.ts';
import { type Pace, pauseAfter, Waiting } from './waiting.ts';

/** Hands events to one subscriber; throws when it did not take all of them, {@link NotTaken} where it said which, or for how long. */
export type SendEvents = (url: string, events: readonly CloudEvent[]) => Promise<void>;

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
  /** How long an order's sequence is remembered after its last event: longer than any inbox remembers it. @default 70 days */
  readonly sequenceRetention?: Milliseconds;
  readonly send?: SendEvents;
  readonly onError?: (error: unknown, subscriber: string) => void;
}

/** What a pass did. */
interface Passed {
  /** Events that were taken. */
  readonly sent: number;
  readonly more: boolean;
  /** Whether the subscriber was too busy for anything new. @default false */
  readonly isStalled?: boolean;
}

const IDLE = milliseconds(200);
const MAX_BACKOFF = seconds(10);
/** Of an answer that is no 2xx, so much is read. */
const MOST_ANSWER_BYTES = 65_536;

/**
 * Relays the outbox: to each subscriber in order, at least once. One that does not answer is tried again with backoff and holds up nobody
 * else. Where it got to is committed after the subscriber has the events, so after a crash it gets some of them again.
 *
 * A subscriber may take a part of a delivery and name the rest. Their orders then wait by themselves, with backoff, and others go on; no event overtakes
 * one of its own order. At most 1,000 wait so for a subscriber; then it is sent nothing else until some are taken.
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
  readonly #pace: Pace;
  #stops: Cancel[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #waiting = new Map<string, Waiting>();
  #stopped = false;

  constructor(options: RelayOptions) {
    const { send, idle = IDLE, maxBackoff = MAX_BACKOFF } = options;
    this.#options = options;
    this.#subscribers = new Map(options.subscribers.map(toSubscriber).map((each) => [each.url, each]));
    this.#clock = options.clock ?? systemClock;
    this.#pace = { first: idle, longest: maxBackoff };
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

  /** Sends one batch to one subscriber, named by its address. Returns how many events it took; throws when it did not say that it took any or which. */
  async pass(subscriber: string): Promise<number> {
    return (await this.#pass(this.#subscribers.get(subscriber) ?? { url: subscriber })).sent;
  }

  /** Forgets a part of what every subscriber has and what is older than the retention, as of `now`. */
  sweep(now = this.#clock.now()): Promise<Swept> {
    const until = before(now, this.#options.retention ?? minutes(60));
    const forget = before(now, this.#options.sequenceRetention ?? days(70));
    return this.#options.outbox.sweep([...this.#subscribers.values()], until, forget);
  }

  async #pass(subscriber: Subscriber): Promise<Passed> {
    const { outbox, batch = 100, batchBytes = 512 * 1024 } = this.#options;
    const waiting = this.#waitingFor(subscriber);
    const resting = waiting.resting(this.#clock.now());
    const nothing = { sent: 0, more: false };
    if (waiting.isFull && waiting.size === resting.size) return nothing;
    const found = await outbox.unsent(subscriber, { events: batch, bytes: batchBytes }, resting);
    if (found === undefined) return nothing;
    const { events, more } = found;
    const sent = waiting.sendable(events);
    if (sent.length === 0) return nothing;
    const refused = await this.#deliver(
      subscriber,
      sent.map((place) => events[place]!),
    );
    const again = (refused?.again ?? []).map((place) => sent[place]!);
    const settled = waiting.settle(events, { sent, again, retryAfter: refused?.retryAfter }, this.#clock.now());
    await found.markSent(settled.again);
    return { sent: settled.taken, more, isStalled: settled.isStalled };
  }

  /** What the subscriber did not take, where it named it; undefined where it took all. Throws where it did not say. */
  async #deliver(subscriber: Subscriber, events: readonly CloudEvent[]): Promise<NotTaken | undefined> {
    try {
      await this.#send(subscriber, events);
      return undefined;
    } catch (error) {
      if (!(error instanceof NotTaken) || error.again === undefined) throw error;
      this.#options.onError?.(error, subscriber.url);
      return error;
    }
  }

  #waitingFor({ url }: Subscriber): Waiting {
    const known = this.#waiting.get(url);
    if (known !== undefined) return known;
    const waiting = new Waiting(this.#pace);
    this.#waiting.set(url, waiting);
    return waiting;
  }

  #loop(subscriber: Subscriber): void {
    const { linger = milliseconds(20) } = this.#options;
    const idle = this.#pace.first;
    let failures = 0;
    let wakes = 0;
    let cancel: Cancel = () => {};
    let isWaiting = false;
    const next = (pause: number) => {
      if (this.#stopped) return;
      isWaiting = pause === idle && failures === 0;
      cancel = this.#clock.schedule(milliseconds(pause), run);
    };
    // Counted first: with a failure to its name, no pause is one that new events cut short.
    const failed = (asked?: Milliseconds) => next(pauseAfter(this.#pace, failures++, asked));
    const turn = async () => {
      isWaiting = false;
      const seen = wakes;
      try {
        const { sent, more, isStalled } = await this.#pass(subscriber);
        // Its orders wait for as long as it asked; whether it takes others is found out sooner.
        if (isStalled === true) return failed();
        failures = 0;
        next(more ? 0 : sent > 0 || wakes !== seen ? linger : idle);
      } catch (error) {
        this.#options.onError?.(error, subscriber.url);
        failed(error instanceof NotTaken ? error.retryAfter : undefined);
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
      // As of one moment: what becomes due meanwhile would keep it going, a few rows at a time.
      const now = this.#clock.now();
      try {
        await sweepAll(async () => (await this.sweep(now)).more && !this.#stopped);
      } catch (error) {
        this.#options.onError?.(error, 'sweep');
      }
      if (!this.#stopped) cancel = this.#clock.schedule(minutes(1), run);
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
  const said = await textOf(body);
  const after = Number(headers['retry-after'] ?? Number.NaN);
  throw new NotTaken(
    `${url} answered ${statusCode} to ${events.length} events: ${said.slice(0, 500)}`,
    Number.isFinite(after) ? seconds(after) : undefined,
    statusCode === 503 ? placesAgain(said, events.length) : undefined,
  );
}

/** The beginning of a body. */
async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MOST_ANSWER_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, MOST_ANSWER_BYTES);
}
