import type { Cache } from '@mercato/operator/kube/cache.ts';
import type { ObjectKey } from '@mercato/operator/kube/key.ts';
import type { Clock } from '@mercato/operator/runtime/clock.ts';
import type { NetworkPolicy } from '../policy/types.ts';

/** Changes remembered at a time; those that are nobody's to put back are among them. */
const MOST = 4_096;

/** When each policy was last seen to change, so that what is put back can say how long it was away. */
export class DriftClock {
  readonly #since = new Map<ObjectKey, number>();
  readonly #clock: Clock;

  constructor(policies: Cache<NetworkPolicy>, clock: Clock) {
    this.#clock = clock;
    policies.onChange(({ key }) => this.#saw(key));
  }

  /** When the policy was last seen to change, on the monotonic clock; undefined if not since it was last asked about. */
  take(key: ObjectKey): number | undefined {
    const since = this.#since.get(key);
    this.#since.delete(key);
    return since;
  }

  #saw(key: ObjectKey): void {
    this.#since.delete(key);
    this.#since.set(key, this.#clock.monotonic());
    if (this.#since.size <= MOST) return;
    for (const oldest of this.#since.keys()) {
      this.#since.delete(oldest);
      return;
    }
  }
}
