import { Backoff, type BackoffOptions } from '../runtime/backoff.ts';
import { type Clock, pause, systemClock } from '../runtime/clock.ts';
import { type Logger, silentLogger } from '../runtime/logger.ts';
import { type KubeClient, type Selection, selectionQuery, trimmed } from './client.ts';
import { ApiError, isGone, isTooManyRequests, TransportError } from './errors.ts';
import { nameOf, pathOf, type Resource } from './resource.ts';
import type { Change, Store } from './store.ts';
import type { KubeObject } from './types.ts';
import { compareVersions, isComparableVersion } from './version.ts';
import { MalformedEventError, parseWatchEvent } from './watch.ts';

/** Why a watch ended. */
export type WatchEnd =
  /** The server ended it, as it does after `timeoutSeconds`. */
  | 'closed'
  /** Nothing was heard for longer than bookmarks take: the connection is dead though nobody said so. */
  | 'silent'
  /** 410: the version to resume from is gone. */
  | 'expired'
  /** A line that is no event. */
  | 'malformed'
  /** The server refused it or ended it with another error. */
  | 'refused'
  /** No connection, or it broke. */
  | 'disconnected';

/** What a reflector tells about itself. */
export interface ReflectorObserver {
  /** A list was read to its end. */
  listed(objects: number, seconds: number): void;
  listFailed(): void;
  watchStarted(): void;
  watchEnded(why: WatchEnd): void;
  /** Something was heard: a list, an event or a bookmark. */
  progressed(): void;
  /** A handler threw; the change was not lost for the store, but may be for that handler. */
  handlerFailed(): void;
}

const unobserved: ReflectorObserver = {
  listed() {},
  listFailed() {},
  watchStarted() {},
  watchEnded() {},
  progressed() {},
  handlerFailed() {},
};

/** How a reflector is made. */
export interface ReflectorOptions<T extends KubeObject> extends Selection {
  client: KubeClient;
  resource: Resource<T>;
  store: Store<T>;
  /** Called for each change of the store. Must only take note (put a key into a queue): it runs within the reading of the watch. */
  onChange?: (change: Change<T>) => void;
  /** Called when a list is older than what was seen before it: etcd was restored from a backup, and versions are used a second time. */
  onWentBack?: () => void;
  /** Makes of an object what is stored: drop here what nobody reads. May change its argument. Name, namespace, uid and resourceVersion must stay. */
  transform?: (object: T) => T;
  /** Objects a page of a list. @default 500 */
  pageSize?: number;
  /** How long a watch may last, in seconds; the actual time is random in this range, so that replicas do not reconnect together. @default [300, 600] */
  watchSeconds?: readonly [number, number];
  /** A watch that hears nothing for this long is taken for dead, in milliseconds. Bookmarks come about each minute. @default 150000 */
  silenceMs?: number;
  /** Delay after failures in a row. @default 200 ms doubling to 10 s, half of it random */
  backoff?: BackoffOptions;
  /** A list after a 410 waits a random part of this, in milliseconds, since all watchers of a server get it at once. @default 1000 */
  relistJitterMs?: number;
  clock?: Clock;
  random?: () => number;
  logger?: Logger;
  observer?: ReflectorObserver;
}

/** A watch that ends sooner than this without an event is a failure, or a server that closes at once would be asked without pause. */
const SHORT_WATCH_MS = 1000;
/** After so many refusals in a row the version may be what the server cannot serve (etcd restored from a backup): list anew. */
const REFUSALS_BEFORE_RELIST = 3;

/**
 * Keeps a store equal to a selection of one resource: a list, then a watch from the list's version, resumed for as long as the server remembers
 * where we were.
 *
 * Guarantees: once `hasSynced`, the store has held the whole selection; every later change reaches the store and `onChange` in order, except that
 * changes between a lost version (410) and the list that follows appear as their sum, deletions included. Nothing ends it but `signal`.
 *
 * The list asks for the most recent state (no resourceVersion) instead of any (`"0"`). `"0"` is cheaper for the server, but with several API
 * servers it may answer with a state older than the one this operator acted on before a restart, and an operator that forgets its own last
 * write does it twice. Since Kubernetes 1.31 the recent list is served from the watch cache too.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #observer: ReflectorObserver;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #path: string;

  /** The version up to which the store has seen everything; where the next watch begins. `undefined`: list first. */
  #version: string | undefined;
  #relist = true;
  #fullList = false;
  #refusals = 0;
  #synced = false;
  #lastProgress: number;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#observer = options.observer ?? unobserved;
    this.#logger = (options.logger ?? silentLogger).with({
      resource: nameOf(options.resource),
      ...(options.namespace ? { namespace: options.namespace } : {}),
    });
    this.#backoff = new Backoff(options.backoff ?? { baseMs: 200, maxMs: 10_000, jitter: 0.5 }, this.#random);
    this.#path = pathOf(options.resource, options.namespace ? { namespace: options.namespace } : {});
    this.#lastProgress = this.#clock.monotonic();
  }

  /** Whether the first list is in the store. */
  get hasSynced(): boolean {
    return this.#synced;
  }

  /** When something was last heard (a list, an event or a bookmark), on the monotonic clock, in milliseconds. */
  get lastProgress(): number {
    return this.#lastProgress;
  }

  /** The version up to which the store has seen everything. */
  get observedVersion(): string | undefined {
    return this.#version;
  }

  /** Lists and watches until `signal` aborts; then resolves. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const delay = this.#relist ? await this.#list(signal) : await this.#watch(signal);
      if (delay > 0) await pause(this.#clock, delay, signal);
    }
  }

  /** One attempt at a list. Returns how long to wait before going on, in milliseconds. */
  async #list(signal: AbortSignal): Promise<number> {
    const { client, resource, store, namespace, transform, onChange } = this.#options;
    const started = this.#clock.monotonic();
    try {
      const objects: T[] = [];
      let version = '';
      for await (const page of client.pages(resource, {
        ...this.#selection(),
        // A list too long to be read before its version expires is read in one piece; client-go's pager does the same.
        pageSize: this.#fullList ? 0 : (this.#options.pageSize ?? 500),
        signal,
      })) {
        for (const item of page.items) objects.push(transform === undefined ? item : transform(item));
        version = page.resourceVersion;
      }
      this.#noteRestore(version);
      const changes = store.replace(objects, namespace || undefined);
      this.#version = version;
      this.#relist = false;
      this.#fullList = false;
      this.#refusals = 0;
      this.#synced = true;
      this.#progress();
      this.#observer.listed(objects.length, (this.#clock.monotonic() - started) / 1000);
      for (const change of changes) this.#notify(change, onChange);
      return 0;
    } catch (error) {
      if (signal.aborted) return 0;
      this.#observer.listFailed();
      this.#fullList = isGone(error);
      const delay = this.#delayAfter(error);
      this.#logger.warn('the list failed', { error, retryInMs: Math.round(delay) });
      return delay;
    }
  }

  /** One watch, from where the last one ended. Returns how long to wait before going on, in milliseconds. */
  async #watch(signal: AbortSignal): Promise<number> {
    const started = this.#clock.monotonic();
    const before = this.#lastProgress;
    const guard = this.#silenceGuard(signal);
    let failure: unknown;
    try {
      await this.#stream(guard);
    } catch (error) {
      failure = error;
    } finally {
      guard.release();
    }
    if (signal.aborted) return 0;
    const why = guard.fired ? 'silent' : whyEnded(failure);
    this.#observer.watchEnded(why);
    return this.#afterWatch(why, failure, {
      lastedMs: this.#clock.monotonic() - started,
      heard: this.#lastProgress !== before,
    });
  }

  async #stream(guard: SilenceGuard): Promise<void> {
    const [low, high] = this.#options.watchSeconds ?? [300, 600];
    await this.#options.client.transport.stream(
      {
        method: 'GET',
        path: this.#path,
        query: {
          ...selectionQuery(this.#options),
          watch: true,
          allowWatchBookmarks: true,
          resourceVersion: this.#version,
          timeoutSeconds: Math.round(low + this.#random() * (high - low)),
        },
        signal: guard.signal,
      },
      {
        open: () => {
          guard.heard();
          this.#observer.watchStarted();
        },
        line: (text) => {
          guard.heard();
          this.#take(text);
        },
      },
    );
  }

  /** One line of the watch into the store. */
  #take(line: string): void {
    const { store, transform, onChange } = this.#options;
    const event = parseWatchEvent<T>(line, this.#path);
    const version = event.object.metadata.resourceVersion;
    if (event.type !== 'BOOKMARK') {
      const bare = trimmed(event.object);
      const object = transform === undefined ? bare : transform(bare);
      const change = event.type === 'DELETED' ? store.remove(object) : store.upsert(object);
      this.#version = version;
      if (change !== undefined) this.#notify(change, onChange);
    }
    this.#version = version;
    this.#refusals = 0;
    this.#progress();
  }

  /** Decides what follows a watch: whether to list anew, and after how many milliseconds to go on. */
  #afterWatch(why: WatchEnd, failure: unknown, watch: { lastedMs: number; heard: boolean }): number {
    const fields = { why, lastedMs: Math.round(watch.lastedMs), error: failure };
    if (watch.heard) this.#backoff.reset();
    switch (why) {
      case 'closed':
        if (watch.heard || watch.lastedMs >= SHORT_WATCH_MS) {
          this.#backoff.reset();
          return 0;
        }
        this.#logger.warn('the watch was closed at once', fields);
        return this.#backoff.next();
      case 'silent':
        this.#logger.warn('the watch fell silent: connecting anew', fields);
        return 0;
      case 'expired':
        this.#relist = true;
        this.#logger.info('the version to watch from is gone: listing anew', fields);
        return this.#random() * (this.#options.relistJitterMs ?? 1000);
      case 'malformed':
        this.#relist = true;
        this.#logger.error('the watch sent what is no event: listing anew', {
          ...fields,
          line: failure instanceof MalformedEventError ? failure.excerpt : undefined,
        });
        return this.#backoff.next();
      case 'refused':
        this.#refusals += 1;
        if (this.#refusals >= REFUSALS_BEFORE_RELIST) this.#relist = true;
        this.#logger.warn('the watch was refused', fields);
        return this.#delayAfter(failure);
      case 'disconnected':
        this.#logger.warn('the watch broke off', fields);
        return this.#backoff.next();
    }
  }

  #delayAfter(error: unknown): number {
    const own = this.#backoff.next();
    return isTooManyRequests(error) ? Math.max(own, error.retryAfterMs ?? 0) : own;
  }

  #notify(change: Change<T>, onChange: ((change: Change<T>) => void) | undefined): void {
    try {
      onChange?.(change);
    } catch (error) {
      this.#observer.handlerFailed();
      this.#logger.error('a handler of changes threw', { key: change.key, change: change.type, error });
    }
  }

  #noteRestore(listed: string): void {
    const before = this.#version;
    if (!isComparableVersion(before) || !isComparableVersion(listed) || compareVersions(listed, before) >= 0) return;
    this.#logger.error('the API server has gone back in time; was etcd restored from a backup?', { before, listed });
    this.#options.onWentBack?.();
  }

  #progress(): void {
    this.#lastProgress = this.#clock.monotonic();
    this.#observer.progressed();
  }

  #selection(): Selection {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  /** Aborts a watch when nothing was heard for `silenceMs`: one timer that looks at a timestamp, not one timer an event. */
  #silenceGuard(outer: AbortSignal): SilenceGuard {
    const clock = this.#clock;
    const silenceMs = this.#options.silenceMs ?? 150_000;
    const aborter = new AbortController();
    let last = clock.monotonic();
    let cancel = () => {};
    const guard: SilenceGuard = {
      signal: aborter.signal,
      fired: false,
      heard: () => {
        last = clock.monotonic();
      },
      release: () => {
        cancel();
        outer.removeEventListener('abort', onAbort);
      },
    };
    const onAbort = () => aborter.abort(outer.reason);
    const look = () => {
      const left = last + silenceMs - clock.monotonic();
      if (left > 0) {
        cancel = clock.after(left, look);
        return;
      }
      guard.fired = true;
      aborter.abort(new Error(`nothing heard for ${silenceMs} ms`));
    };
    cancel = clock.after(silenceMs, look);
    if (outer.aborted) onAbort();
    else outer.addEventListener('abort', onAbort, { once: true });
    return guard;
  }
}

interface SilenceGuard {
  readonly signal: AbortSignal;
  fired: boolean;
  heard(): void;
  release(): void;
}

/** Names the end of a watch by what it failed with; `undefined` is an end in order. */
function whyEnded(failure: unknown): WatchEnd {
  if (failure === undefined) return 'closed';
  if (isGone(failure)) return 'expired';
  if (failure instanceof ApiError) return 'refused';
  if (failure instanceof TransportError) {
    return failure.failure === 'malformed' || failure.failure === 'too-large' ? 'malformed' : 'disconnected';
  }
  return 'malformed';
}
