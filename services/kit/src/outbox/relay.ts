import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { type Cancel, type Clock, systemClock } from '../clock.ts';
import type { Store } from '../store/port.ts';
import { before, days, type Milliseconds, milliseconds, minutes, seconds } from '../units.ts';
import { type CloudEvent, markSent, sweepOutbox, unsent } from './outbox.ts';

/** Hands events to one subscriber, all or none; throws when it did not take them. */
export type SendEvents = (url: string, events: readonly CloudEvent[]) => Promise<void>;

export interface RelayOptions {
  readonly store: Store;
  /** HTTP addresses that take CloudEvents in batched JSON mode (`application/cloudevents-batch+json`) and answer 2xx once they have them. */
  readonly subscribers: readonly string[];
  readonly clock?: Clock;
  /** Events in one POST at most. @default 100 */
  readonly batch?: number;
  /** Bytes of events in one POST at most, unless a single one has more. @default 512 KiB: half of what our services take */
  readonly batchBytes?: number;
  /** File with a bearer token that all subscribers take, read again for each POST because such tokens rotate. @default no token */
  readonly tokenFile?: string | undefined;
  /** Pause when there was nothing to send. @default 200 ms */
  readonly idle?: Milliseconds;
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
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #send: SendEvents;
  readonly #agent: Agent | undefined;
  #stops: Cancel[] = [];
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#agent =
      options.send === undefined
        ? new Agent({ connections: 4, headersTimeout: 10_000, bodyTimeout: 10_000 })
        : undefined;
    this.#send = options.send ?? ((url, events) => post(this.#agent!, url, events, options.tokenFile));
  }

  start(): void {
    const idle = this.#options.idle ?? milliseconds(200);
    const maxBackoff = this.#options.maxBackoff ?? seconds(10);
    for (const subscriber of this.#options.subscribers) this.#loop(subscriber, idle, maxBackoff);
    this.#sweepLoop();
  }

  /** Ends after what is being sent has been sent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#stops) cancel();
    await Promise.all(this.#running);
    await this.#agent?.close();
  }

  /** Sends one batch to one subscriber. Returns how many events it took; throws when it did not. */
  async pass(subscriber: string): Promise<number> {
    const { store, batch = 100, batchBytes = 512 * 1024 } = this.#options;
    const found = await store.read((reader) => unsent(reader, subscriber, batch, batchBytes));
    const last = found.at(-1);
    if (last === undefined) return 0;
    await this.#send(
      subscriber,
      found.map(({ event }) => event),
    );
    await store.transact((tx) => markSent(tx, subscriber, last.position));
    return found.length;
  }

  /** Deletes what every subscriber has and what is older than the retention. */
  sweep(): Promise<number> {
    const now = this.#clock.now();
    const until = before(now, this.#options.retention ?? minutes(60));
    const forget = before(now, this.#options.sequenceRetention ?? days(70));
    return this.#options.store.transact((tx) => sweepOutbox(tx, this.#options.subscribers, until, forget, 5000));
  }

  #loop(subscriber: string, idle: Milliseconds, maxBackoff: Milliseconds): void {
    let failures = 0;
    let cancel: Cancel = () => {};
    const turn = async () => {
      let pause: number = idle;
      try {
        const sent = await this.pass(subscriber);
        failures = 0;
        if (sent > 0) pause = 0;
      } catch (error) {
        this.#options.onError?.(error, subscriber);
        pause = Math.min(maxBackoff, idle * 2 ** failures);
        failures = Math.min(failures + 1, 20);
      }
      if (!this.#stopped) cancel = this.#clock.schedule(milliseconds(pause), run);
    };
    const run = () => this.#track(turn());
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
      let swept = 0;
      try {
        swept = await this.sweep();
      } catch (error) {
        this.#options.onError?.(error, 'sweep');
      }
      // A full sweep means that there is more: stay ahead of what comes in.
      if (!this.#stopped) cancel = this.#clock.schedule(swept >= 5000 ? milliseconds(100) : minutes(1), run);
    };
    const run = () => this.#track(turn());
    cancel = this.#clock.schedule(minutes(1), run);
    this.#stops.push(() => cancel());
  }
}

async function post(
  agent: Agent,
  url: string,
  events: readonly CloudEvent[],
  tokenFile: string | undefined,
): Promise<void> {
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  const { statusCode, body } = await request(url, {
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
  throw new Error(`${url} answered ${statusCode} to ${events.length} events: ${said}`);
}
