import type { EventBridgeClient, EventBridgeClientConfig, PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import { backoffDelay } from '../runtime/backoff.ts';
import { type Clock, pause, systemClock } from '../runtime/clock.ts';
import type { Announce } from './announce.ts';
import type { AnnouncedEvent } from './event.ts';

/** What PutEvents takes in one call. */
const ENTRIES = 10;
const BYTES = 262_144;
/** Sends of an event; with the time-out of a call this stays below the 30 s in which a delivery must settle. */
const TRIES = 4;
const TIMEOUT_MILLIS = 5_000;
const RETRY = { baseMs: 50, maxMs: 1_000, jitter: 0.5 };

export interface EventBusOptions {
  /** The bus's name, or its ARN. */
  readonly bus: string;
  /** For tests: where an emulator is. @default nothing: the SDK's own environment decides */
  readonly config?: EventBridgeClientConfig;
  /** @default the machine's clock */
  readonly clock?: Clock;
}

/**
 * An EventBridge bus as one who is told of runs: the CloudEvent whole as `detail`, its type as `detail-type`, its source as `source`, as the services put
 * theirs there (services/kit/src/events/event-bus.ts). A bus keeps no order and may deliver twice; receivers go by the sequence.
 */
export class EventBusSubscriber implements Announce {
  readonly name: string;
  readonly #o: EventBusOptions;
  readonly #clock: Clock;
  #client: Promise<EventBridgeClient> | undefined;

  constructor(options: EventBusOptions) {
    this.#o = options;
    this.#clock = options.clock ?? systemClock;
    this.name = `eventbridge:${options.bus}`;
  }

  /** What the bus did not take is sent again, without what it did. @throws Error when that does not help: then all are to be sent again */
  async send(events: readonly AnnouncedEvent[]): Promise<void> {
    const calls = inCalls(events.map((event) => entryOf(this.#o.bus, event)));
    await Promise.all(calls.map((call) => this.#sendAll(call)));
  }

  async close(): Promise<void> {
    (await this.#client)?.destroy();
  }

  async #sendAll(entries: readonly PutEventsRequestEntry[]): Promise<void> {
    let left = entries;
    for (let tried = 1; ; tried++) {
      const failures = await this.#put(left);
      const why = failures.find((failure) => failure !== undefined);
      if (why === undefined) return;
      left = left.filter((_, i) => failures[i] !== undefined);
      if (tried === TRIES)
        throw new Error(`${this.name} did not take ${left.length} of ${entries.length} events: ${why}`);
      await pause(this.#clock, backoffDelay(RETRY, tried - 1), new AbortController().signal);
    }
  }

  async #put(entries: readonly PutEventsRequestEntry[]): Promise<readonly (string | undefined)[]> {
    // Loaded where it is used: it takes 20 MB.
    const { PutEventsCommand } = await import('@aws-sdk/client-eventbridge');
    this.#client ??= connect(this.#o.config);
    const { Entries = [] } = await (await this.#client).send(new PutEventsCommand({ Entries: [...entries] }));
    return Entries.map(({ ErrorCode, ErrorMessage }) =>
      ErrorCode === undefined ? undefined : `${ErrorCode}: ${ErrorMessage ?? ''}`,
    );
  }
}

async function connect(config: EventBridgeClientConfig = {}): Promise<EventBridgeClient> {
  const { EventBridgeClient } = await import('@aws-sdk/client-eventbridge');
  const agent = { keepAlive: true, maxSockets: 16 };
  const timeouts = { connectionTimeout: 3_000, requestTimeout: TIMEOUT_MILLIS, throwOnRequestTimeout: true };
  return new EventBridgeClient({
    requestHandler: { httpAgent: agent, httpsAgent: agent, ...timeouts },
    // The announcer repeats what failed.
    maxAttempts: 2,
    ...config,
  });
}

function entryOf(bus: string, event: AnnouncedEvent): PutEventsRequestEntry {
  return {
    EventBusName: bus,
    Source: event.source,
    DetailType: event.type,
    Detail: JSON.stringify(event),
    Time: new Date(event.time),
  };
}

/** In their order, within what a call takes. An announcement has 2 KB at most, so that none is too large. */
function inCalls(entries: readonly PutEventsRequestEntry[]): PutEventsRequestEntry[][] {
  const calls: PutEventsRequestEntry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
    const size = 14 + Buffer.byteLength(`${entry.Source}${entry.DetailType}${entry.Detail}`);
    const call = calls.at(-1);
    if (call === undefined || call.length === ENTRIES || bytes + size > BYTES) {
      calls.push([entry]);
      bytes = size;
    } else {
      call.push(entry);
      bytes += size;
    }
  }
  return calls;
}
