import type { Syncable } from '../kube/cache.ts';
import type { Transport } from '../kube/transport.ts';
import { type Clock, systemClock } from './clock.ts';
import type { HealthCheck } from './health.ts';

/** How staleness is judged. */
export interface StalenessOptions {
  transport: Transport;
  /** The caches to look at, as of now. */
  caches: () => Iterable<Syncable>;
  /**
   * A cache that heard nothing for longer is suspect, in milliseconds. Bookmarks come about each minute and a dead connection is replaced after
   * 2.5 minutes, so a healthy one is never as old. @default 300000
   */
  boundMs?: number;
  /**
   * For how long the API server must have answered, over several checks, before silence is held against us, in milliseconds; longer than a
   * reflector's longest backoff. @default 30000
   */
  answeringMs?: number;
  /** Time limit of the probe, in milliseconds. @default 3000 */
  probeTimeoutMs?: number;
  clock?: Clock;
}

/**
 * A liveness check that fails when the API server answers and yet a watch does not advance: then this process is at fault and a restart helps. It
 * never fails because the API server is down: a restart would not bring it back, and all replicas would crash-loop with it.
 */
export function stalenessCheck(options: StalenessOptions): HealthCheck {
  const clock = options.clock ?? systemClock;
  const boundMs = options.boundMs ?? 300_000;
  const answeringMs = options.answeringMs ?? 30_000;
  /** Since when every probe was answered; a server that has just come back gives the watches time to. */
  let answeringSince: number | undefined;

  return async () => {
    const stale = [...options.caches()].filter((cache) => cache.stalenessMs > boundMs);
    if (stale.length === 0 || !(await answers(options))) {
      answeringSince = undefined;
      return;
    }
    answeringSince ??= clock.monotonic();
    if (clock.monotonic() - answeringSince < answeringMs) return;
    const names = stale.map((cache) => `${cache.name} (${Math.round(cache.stalenessMs / 1000)} s)`).join(', ');
    throw new Error(`the API server answers but nothing was heard of: ${names}`);
  };
}

/** Whether the API server answers at all; any status will do. `/livez` is cheap and open to every authenticated user. */
async function answers({ transport, probeTimeoutMs = 3000 }: StalenessOptions): Promise<boolean> {
  try {
    await transport.requestText({ method: 'GET', path: '/livez', timeoutMs: probeTimeoutMs });
    return true;
  } catch (error) {
    // A refusal below 500 is an answer too; a server that starts up or sheds load is not at fault and neither are we.
    return (
      error instanceof Error &&
      'code' in error &&
      typeof error.code === 'number' &&
      error.code < 500 &&
      error.code !== 429
    );
  }
}
