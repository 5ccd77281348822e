import { type Clock, pause, systemClock } from '../runtime/clock.ts';
import { type Logger, silentLogger } from '../runtime/logger.ts';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts';
import { leases } from './resource.ts';
import { type Lease, microTime } from './types.ts';

/** How an elector is made. */
export interface LeaderElectorOptions {
  client: KubeClient;
  /** Where the Lease is. */
  namespace: string;
  /** The Lease's name: one for each group of replicas of which one works. */
  name: string;
  /** Of the Lease, when it is made. @default none */
  labels?: Readonly<Record<string, string>>;
  /** Who we are; must be unique among replicas and across restarts, or a dead process's lease passes for ours. */
  identity: string;
  /** Others may take over when they have seen no renewal for this long, in milliseconds. @default 15000 */
  leaseDurationMs?: number;
  /** We stop work when our last renewal is this old, in milliseconds; must be shorter. @default 10000 */
  renewDeadlineMs?: number;
  /** Between attempts to get or renew the lease, in milliseconds. @default 2000 */
  retryPeriodMs?: number;
  /** How long work may take to stop once the lease is lost, in milliseconds, before `run` gives up waiting. @default 5000 */
  stopTimeoutMs?: number;
  clock?: Clock;
  random?: () => number;
  logger?: Logger;
  /** Told whether we lead. */
  observer?: { leading(yes: boolean): void };
}

/** The lease was lost: another holds it, or the API server could not be reached within the renew deadline. Work has been told to stop. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/**
 * Leader election over a coordination.k8s.io/v1 Lease, with the rules of client-go's `leaderelection`.
 *
 * Why no two work at a time: a candidate takes the lease only when it has not seen it change for `leaseDuration` on its own monotonic clock; nobody's
 * wall clock is compared. A leader counts from the *start* of the last renewal that succeeded, which is before anyone could have seen it, and
 * aborts its work after `renewDeadline`, which is shorter. The difference (5 s) is what work has to stop in. That holds while the process runs; one
 * that is frozen for longer finds `isLeading` false when it wakes up, but what it had begun to send may still arrive: hence conditional writes.
 *
 * Its requests are urgent: after a take-over hundreds of writes wait for a connection, and a renewal behind them would come too late.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;

  /** The lease as last read or written, and when we saw it change. */
  #observed: Lease | undefined;
  #observedAt = Number.NEGATIVE_INFINITY;
  /** The start of the last successful acquisition or renewal. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #holding = false;
  /**
   * Whether the lease is released at the end of work. False while there is work that no next leader could know of: then it expires, and the next
   * leader is told that its predecessor died.
   */
  inOrder = true;

  constructor(options: LeaderElectorOptions) {
    const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2000 } = options;
    if (options.identity === '') throw new RangeError('leader election: identity must not be empty');
    if (!(leaseDurationMs > renewDeadlineMs)) {
      throw new RangeError(
        `leader election: leaseDurationMs (${leaseDurationMs}) must exceed renewDeadlineMs (${renewDeadlineMs})`,
      );
    }
    if (!(renewDeadlineMs > retryPeriodMs * 1.2)) {
      throw new RangeError(
        `leader election: renewDeadlineMs (${renewDeadlineMs}) must exceed 1.2 x retryPeriodMs (${retryPeriodMs})`,
      );
    }
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#leaseDurationMs = leaseDurationMs;
    this.#renewDeadlineMs = renewDeadlineMs;
    this.#retryPeriodMs = retryPeriodMs;
    this.#logger = (options.logger ?? silentLogger).with({
      lease: `${options.namespace}/${options.name}`,
      identity: options.identity,
    });
  }

  /** Whether we may act as the leader at this moment; looks at the clock, so it is right even when a timer is late. */
  get isLeading(): boolean {
    return this.#holding && this.#clock.monotonic() - this.#renewedAt < this.#renewDeadlineMs;
  }

  /** Who holds the lease, as far as we know; empty if nobody. */
  get holder(): string {
    return this.#observed?.spec?.holderIdentity ?? '';
  }

  /**
   * Waits for the lease, then runs `work` while renewing it. `work` gets a signal that aborts when the lease is lost (reason: a LeaseLostError)
   * or `stop` aborts; after `stop` the lease is renewed until `work` has ended and then released, so that the next leader starts at once.
   *
   * Resolves when `work` ends by itself or after `stop`. Rejects with what `work` rejects with, and with a LeaseLostError when the lease was lost: a
   * process should then exit, since its caches and timers belong to a past leader.
   */
  async run(work: (signal: AbortSignal) => Promise<void>, stop: AbortSignal): Promise<void> {
    await this.#acquire(stop);
    if (!this.#holding) return;
    const working = new AbortController();
    const renewing = new AbortController();
    const onStop = () => working.abort(stop.reason);
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();

    this.#options.observer?.leading(true);
    this.#logger.info('leading');
    const lost = this.#renew(renewing.signal).then((error) => {
      if (error !== undefined) working.abort(error);
      return error;
    });
    const worked = Promise.resolve()
      .then(() => work(working.signal))
      .finally(() => renewing.abort());
    try {
      const error = await Promise.race([lost, worked.then(() => undefined)]);
      if (error !== undefined) await this.#settleWork(worked);
      const reason = error ?? (await lost);
      if (reason !== undefined) throw reason;
      await worked;
    } finally {
      stop.removeEventListener('abort', onStop);
      renewing.abort();
      const stillOurs = this.isLeading;
      this.#holding = false;
      this.#options.observer?.leading(false);
      if (stillOurs && this.inOrder) await this.#release();
    }
  }

  /** Gives work that was told to stop a bounded time to do so; what it fails with then is logged, since the lost lease is the news. */
  async #settleWork(worked: Promise<void>): Promise<void> {
    const bound = new AbortController();
    const ended = worked.catch((error) =>
      this.#logger.warn('work failed while it stopped after the lost lease', { error }),
    );
    const late = pause(this.#clock, this.#options.stopTimeoutMs ?? 5000, bound.signal).then(() => {
      if (!bound.signal.aborted) this.#logger.error('work goes on although the lease is lost');
    });
    await Promise.race([ended, late]);
    bound.abort();
  }

  /** Tries until we hold the lease or `stop` aborts. */
  async #acquire(stop: AbortSignal): Promise<void> {
    const random = this.#options.random ?? Math.random;
    while (!stop.aborted) {
      if (await this.#tryAcquireOrRenew(stop)) return;
      // Jitter (client-go: factor 1.2) keeps candidates from trying in step.
      const period = this.#retryPeriodMs * (1 + 1.2 * random());
      await pause(this.#clock, Math.min(period, this.#expiresInMs() + 0.1 * this.#retryPeriodMs * random()), stop);
    }
  }

  /** Milliseconds until the lease may be taken, if nobody renews it: whoever waited a period longer would leave runs alone for that long. */
  #expiresInMs(): number {
    const left = this.#observedAt + leaseMillis(this.#observed) - this.#clock.monotonic();
    return left > 0 ? left : Number.POSITIVE_INFINITY;
  }

  /** Renews until `stop` aborts (then `undefined`) or the lease is lost (then why). */
  async #renew(stop: AbortSignal): Promise<LeaseLostError | undefined> {
    while (!stop.aborted) {
      // Never sleep past the deadline: the abort must come on time also when every attempt fails at once.
      await pause(this.#clock, Math.min(this.#retryPeriodMs, this.#leftMs()), stop);
      if (stop.aborted) return undefined;
      const left = this.#leftMs();
      if (left > 0) await this.#within(left, (signal) => this.#tryAcquireOrRenew(signal), stop);
      if (stop.aborted) return undefined;
      if (!this.#holding) return this.#lose(`the lease is held by "${this.holder}"`);
      if (!this.isLeading) return this.#lose(`not renewed for ${this.#renewDeadlineMs} ms`);
    }
    return undefined;
  }

  /** Milliseconds until the renew deadline. */
  #leftMs(): number {
    return this.#renewedAt + this.#renewDeadlineMs - this.#clock.monotonic();
  }

  #lose(why: string): LeaseLostError {
    this.#holding = false;
    this.#options.observer?.leading(false);
    this.#logger.error('the lease is lost', { why });
    return new LeaseLostError(`leader election ${this.#options.namespace}/${this.#options.name}: ${why}`);
  }

  /** Runs an attempt, but not for longer than `ms`: a request that hangs must not delay the deadline. */
  async #within(ms: number, attempt: (signal: AbortSignal) => Promise<unknown>, outer: AbortSignal): Promise<void> {
    const aborter = new AbortController();
    const abort = () => aborter.abort();
    const cancel = this.#clock.after(ms, abort);
    outer.addEventListener('abort', abort, { once: true });
    try {
      await attempt(aborter.signal);
    } finally {
      cancel();
      outer.removeEventListener('abort', abort);
    }
  }

  /** One attempt. Failures to reach the API server are logged and count as "no". */
  async #tryAcquireOrRenew(signal: AbortSignal): Promise<boolean> {
    const started = this.#clock.monotonic();
    try {
      const held = await this.#attempt(signal);
      this.#holding = held;
      if (held) this.#renewedAt = started;
      return held;
    } catch (error) {
      // We still hold what we held: only time or another holder takes the lease away.
      if (!signal.aborted) this.#logger.warn('cannot get or renew the lease', { error });
      return false;
    }
  }

  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity } = this.#options;
    const call = { signal, timeoutMs: this.#renewDeadlineMs, urgent: true };
    // The leader writes against the version it wrote last and saves the read; a conflict makes it read again.
    if (this.#holding && this.#observed !== undefined) {
      try {
        this.#see(await client.update(leases, this.#claim(this.#observed), call));
        return true;
      } catch (error) {
        if (!isConflict(error) && !isNotFound(error)) throw error;
      }
    }
    let current: Lease;
    try {
      current = await client.get(leases, { namespace, name }, call);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      try {
        this.#see(await client.create(leases, this.#claim(undefined), call));
        return true;
      } catch (refused) {
        if (isAlreadyExists(refused)) return false;
        throw refused;
      }
    }
    this.#see(current);
    const holder = current.spec?.holderIdentity ?? '';
    if (holder !== '' && holder !== identity && this.#isValid(current)) return false;
    try {
      this.#see(await client.update(leases, this.#claim(current), call));
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
  }

  /** Whether the holder of a lease may still be at work: we saw it change less than its duration ago. */
  #isValid(lease: Lease): boolean {
    return this.#clock.monotonic() - this.#observedAt < leaseMillis(lease);
  }

  /** Takes note of the lease as it is; `#observedAt` moves only when it changed. */
  #see(lease: Lease): void {
    if (
      lease.metadata.resourceVersion !== this.#observed?.metadata.resourceVersion ||
      lease.metadata.uid !== this.#observed?.metadata.uid
    ) {
      this.#observedAt = this.#clock.monotonic();
    }
    this.#observed = lease;
  }

  /** The lease with us as its holder. */
  #claim(current: Lease | undefined): Lease {
    const { namespace, name, identity, labels } = this.#options;
    const now = microTime(this.#clock.wall());
    const ours = current?.spec?.holderIdentity === identity;
    return {
      metadata: current?.metadata ?? { namespace, name, ...(labels && { labels: { ...labels } }) },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
        acquireTime: ours ? (current?.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (current?.spec?.leaseTransitions ?? 0) + (ours || current === undefined ? 0 : 1),
      },
    };
  }

  /** Gives the lease up, so that the next leader need not wait. If that fails it expires. */
  async #release(): Promise<void> {
    const { client, namespace, name, identity } = this.#options;
    const call = { timeoutMs: 2000, urgent: true };
    try {
      // Read first: the last renewal may have been cut off by the stop after it reached the server.
      const current = await client.get(leases, { namespace, name }, call);
      if (current.spec?.holderIdentity !== identity) return;
      const now = microTime(this.#clock.wall());
      const leaseTransitions = current.spec.leaseTransitions ?? 0;
      const spec = { holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaseTransitions };
      this.#see(await client.update(leases, { metadata: current.metadata, spec }, call));
      this.#logger.info('released the lease');
    } catch (error) {
      this.#logger.warn('cannot release the lease; it expires by itself', { error });
    }
  }
}

function leaseMillis(lease: Lease | undefined): number {
  return Math.max((lease?.spec?.leaseDurationSeconds ?? 0) * 1000, 0);
}
