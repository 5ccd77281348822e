import { randomBytes } from 'node:crypto';
import { backoffDelay } from '../runtime/backoff.ts';
import { type Clock, pause, systemClock } from '../runtime/clock.ts';
import { type Logger, silentLogger } from '../runtime/logger.ts';
import type { KubeClient } from './client.ts';
import { ApiError, isAlreadyExists, isNotFound, isTooManyRequests } from './errors.ts';
import { events } from './resource.ts';
import { type KubeEvent, type KubeObject, microTime, type ObjectReference } from './types.ts';

/** Something to tell about an object. */
export interface EventInput {
  type: 'Normal' | 'Warning';
  /** Why, as one UpperCamelCase word, at most 128 characters: `StepFailed`. */
  reason: string;
  /** What the controller did or tried, as one UpperCamelCase word, at most 128 characters: `Compensate`. */
  action: string;
  /** In words for people; cut at 1024 bytes. */
  note: string;
  /** Another object that takes part. */
  related?: KubeObject;
}

/** Why an event was not stored. */
export type EventDrop = 'queue-full' | 'rate-limited' | 'refused' | 'failed' | 'stopped';

/** Records events; see `EventRecorder`. What reconcilers depend on. */
export interface Recorder {
  /** Notes an event about an object. Returns at once and never throws. */
  event(regarding: KubeObject, event: EventInput): void;
}

/** How a recorder is made. */
export interface EventRecorderOptions {
  client: KubeClient;
  /** The controller's name, e.g. `mercato.dev/orders`. */
  reportingController: string;
  /** This process: usually the pod's name. */
  reportingInstance: string;
  /** Events that wait to be sent. @default 1000 */
  maxQueue?: number;
  /** Events about one object at once; then one more each `refillMs`. @default 25, as client-go's spam filter */
  burst?: number;
  /** In milliseconds. @default 30000 */
  refillMs?: number;
  /** How long the same event counts up instead of being written anew, in milliseconds, from its last occurrence. @default 360000, as client-go */
  seriesMs?: number;
  /** A series' count is written at most this often, in milliseconds. @default 10000 */
  seriesFlushMs?: number;
  /** Objects and series remembered; the oldest are forgotten. @default 4096 */
  maxRemembered?: number;
  clock?: Clock;
  logger?: Logger;
  observer?: { eventSent(): void; eventDropped(why: EventDrop): void };
}

interface Series {
  key: string;
  /** `undefined` until the first write was answered. */
  stored: { namespace: string; name: string } | undefined;
  event: KubeEvent;
  count: number;
  lastObserved: number;
  /** The count that the API server has. */
  written: number;
  writtenAt: number;
  queued: boolean;
}

interface Bucket {
  tokens: number;
  at: number;
}

const MAX_NOTE_BYTES = 1024;
const MAX_WORD = 128;
const MAX_ATTEMPTS = 4;
const SEND_TIMEOUT_MS = 10_000;

/**
 * Records events.k8s.io/v1 events. The same event (type, reason, action, note) about the same object becomes a series: one object whose count and
 * lastObservedTime grow, at most one write in `seriesFlushMs`. Events about one object are rate limited, the queue is bounded, and what is dropped
 * is counted: telling must never slow down or stop the doing.
 */
export class EventRecorder implements Recorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  #queue: Series[] = [];
  #sending: Promise<void> | undefined;
  #cancelSweep: (() => void) | undefined;
  readonly #stop = new AbortController();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
  }

  event(regarding: KubeObject, input: EventInput): void {
    try {
      this.#note(regarding, input);
    } catch (error) {
      this.#drop('failed', error);
    }
  }

  /** Sends what waits, counts of series included, for at most `timeoutMs`; then accepts nothing more. */
  async stop(timeoutMs = 2000): Promise<void> {
    this.#cancelSweep?.();
    for (const series of this.#series.values()) if (series.count > series.written) this.#enqueue(series);
    const bound = new AbortController();
    await Promise.race([this.#sending, pause(this.#clock, timeoutMs, bound.signal)]);
    bound.abort();
    this.#stop.abort();
    for (const _ of this.#queue) this.#options.observer?.eventDropped('stopped');
    this.#queue = [];
  }

  #note(regarding: KubeObject, input: EventInput): void {
    if (this.#stop.signal.aborted) return this.#drop('stopped');
    const now = this.#clock.monotonic();
    const key = seriesKey(regarding, input);
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastObserved <= (this.#options.seriesMs ?? 360_000)) {
      known.count += 1;
      known.lastObserved = now;
      this.#touch(this.#series, key, known);
      this.#scheduleSweep();
      return;
    }
    if (!this.#takeToken(regarding, now)) return this.#drop('rate-limited');
    if (this.#queue.length >= (this.#options.maxQueue ?? 1000)) return this.#drop('queue-full');
    const event = this.#compose(regarding, input);
    const series: Series = {
      key,
      stored: undefined,
      event,
      count: 1,
      lastObserved: now,
      written: 0,
      writtenAt: now,
      queued: false,
    };
    this.#touch(this.#series, key, series);
    this.#enqueue(series);
  }

  #compose(regarding: KubeObject, input: EventInput): KubeEvent {
    // Events about cluster-scoped objects live in `default`, by convention.
    const namespace = regarding.metadata.namespace ?? 'default';
    const name = `${regarding.metadata.name.slice(0, 236)}.${randomBytes(8).toString('hex')}`;
    return {
      metadata: { name, namespace },
      eventTime: microTime(this.#clock.wall()),
      reportingController: this.#options.reportingController,
      reportingInstance: this.#options.reportingInstance.slice(0, MAX_WORD),
      action: input.action.slice(0, MAX_WORD),
      reason: input.reason.slice(0, MAX_WORD),
      regarding: referenceTo(regarding),
      ...(input.related === undefined ? {} : { related: referenceTo(input.related) }),
      note: cut(input.note, MAX_NOTE_BYTES),
      type: input.type,
    };
  }

  /** A token bucket for each object. */
  #takeToken(regarding: KubeObject, now: number): boolean {
    const { burst = 25, refillMs = 30_000 } = this.#options;
    const key =
      regarding.metadata.uid ?? `${regarding.kind}/${regarding.metadata.namespace}/${regarding.metadata.name}`;
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    bucket.at = now;
    const allowed = bucket.tokens >= 1;
    if (allowed) bucket.tokens -= 1;
    this.#touch(this.#buckets, key, bucket);
    return allowed;
  }

  /** Moves an entry to the end of its map and forgets the oldest when there are too many. */
  #touch<V>(map: Map<string, V>, key: string, value: V): void {
    map.delete(key);
    map.set(key, value);
    if (map.size <= (this.#options.maxRemembered ?? 4096)) return;
    for (const oldest of map.keys()) {
      map.delete(oldest);
      return;
    }
  }

  #enqueue(series: Series): void {
    if (series.queued) return;
    series.queued = true;
    this.#queue.push(series);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  async #sendAll(): Promise<void> {
    // Lets the caller's synchronous work finish first.
    await Promise.resolve();
    for (let series = this.#queue.shift(); series !== undefined; series = this.#queue.shift()) {
      series.queued = false;
      await this.#send(series);
    }
  }

  async #send(series: Series): Promise<void> {
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        await this.#write(series);
        this.#options.observer?.eventSent();
        return;
      } catch (error) {
        if (isFinal(error) || attempt + 1 >= MAX_ATTEMPTS) {
          // Forgotten, so that its next occurrence is written anew instead of counting up what nobody stored.
          this.#series.delete(series.key);
          return this.#drop(isFinal(error) ? 'refused' : 'failed', error);
        }
        await pause(this.#clock, backoffDelay({ baseMs: 200, maxMs: 2000 }, attempt), this.#stop.signal);
      }
    }
  }

  async #write(series: Series): Promise<void> {
    const { client } = this.#options;
    const call = { timeoutMs: SEND_TIMEOUT_MS, signal: this.#stop.signal };
    const { count } = series;
    if (series.stored !== undefined) {
      const lastObservedTime = microTime(this.#clock.wall() - (this.#clock.monotonic() - series.lastObserved));
      try {
        await client.patch(events, series.stored, { series: { count, lastObservedTime } }, call);
        series.written = count;
        series.writtenAt = this.#clock.monotonic();
        return;
      } catch (error) {
        // Events live an hour; a series that outlives its object starts a new one.
        if (!isNotFound(error)) throw error;
        series.event = { ...series.event, eventTime: microTime(this.#clock.wall()) };
      }
    }
    const { namespace = 'default', name } = series.event.metadata;
    await client.create(events, series.event, call).catch((error) => {
      // Nobody else draws its name: an attempt before this one was done, and its answer lost.
      if (!isAlreadyExists(error)) throw error;
    });
    series.stored = { namespace, name };
    // The first occurrence is the object itself; whatever was counted since goes with the next sweep.
    series.written = 1;
    series.writtenAt = this.#clock.monotonic();
    if (series.count > 1) this.#scheduleSweep();
  }

  /** One timer for all series that have counted on. */
  #scheduleSweep(): void {
    if (this.#cancelSweep !== undefined) return;
    this.#cancelSweep = this.#clock.after(this.#options.seriesFlushMs ?? 10_000, () => {
      this.#cancelSweep = undefined;
      for (const series of this.#series.values()) {
        if (series.count > series.written && series.stored !== undefined) this.#enqueue(series);
      }
    });
  }

  #drop(why: EventDrop, error?: unknown): void {
    this.#options.observer?.eventDropped(why);
    this.#logger.debug('an event was dropped', { why, error });
  }
}

/** A reference to an object as it is now. */
export function referenceTo(object: KubeObject): ObjectReference {
  const { apiVersion, kind, metadata } = object;
  const { name, namespace, uid, resourceVersion } = metadata;
  const reference: ObjectReference = { name };
  if (apiVersion !== undefined) reference.apiVersion = apiVersion;
  if (kind !== undefined) reference.kind = kind;
  if (namespace !== undefined) reference.namespace = namespace;
  if (uid !== undefined) reference.uid = uid;
  if (resourceVersion !== undefined) reference.resourceVersion = resourceVersion;
  return reference;
}

/** The note takes part: the API server does not let it change afterwards, so another note is another event. */
function seriesKey(regarding: KubeObject, input: EventInput): string {
  const { namespace = '', name, uid = '' } = regarding.metadata;
  const related = input.related?.metadata.uid ?? '';
  return [regarding.kind ?? '', namespace, name, uid, related, input.type, input.reason, input.action, input.note].join(
    '\u0000',
  );
}

/** Whether trying again is useless: the API server understood and refused. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.code >= 400 && error.code < 500 && !isTooManyRequests(error);
}

/** The longest beginning of a text that fits in so many bytes of UTF-8, whole characters only. */
function cut(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const bytes = Buffer.from(text).subarray(0, maxBytes - 3);
  return `${bytes.toString('utf8').replace(/\uFFFD+$/, '')}...`;
}
