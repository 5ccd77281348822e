import { randomStream, weighted } from '@mercato/demo/play/random.ts';

/** What is killed: processes of our own. The acquirer and the carrier are the outside world, and the observers. */
export const TARGETS = ['operator', 'inventory', 'payment', 'shipping', 'kube-apiserver'] as const;

/** @see TARGETS */
export type Target = (typeof TARGETS)[number];

/** One SIGKILL. Times in milliseconds. */
export interface Kill {
  readonly target: Target;
  /**
   * What it waits for before its delay begins. `at-work`: an operator leads, so that something is being done; `at-once`: nothing, so
   * that an operator may die while it starts, waits for the lease, or takes over.
   */
  readonly when: 'at-work' | 'at-once';
  readonly delayMs: number;
  /** How long what was killed stays away. */
  readonly outageMs: number;
}

/** How long each stays away: an operator or a service is started again by its kubelet; an API server takes longer. */
const OUTAGES: Readonly<Record<Target, readonly [least: number, most: number]>> = {
  operator: [0, 0],
  inventory: [100, 2_000],
  payment: [100, 2_000],
  shipping: [100, 2_000],
  'kube-apiserver': [500, 3_000],
};

/**
 * Mostly while the operator works, at a moment from the take-over (which sends again whatever was under way) to half a second later;
 * sometimes at any other.
 */
const MOMENTS = [
  { weight: 4, when: 'at-work', mostMs: 80 },
  { weight: 8, when: 'at-work', mostMs: 600 },
  { weight: 6, when: 'at-once', mostMs: 2_000 },
] as const;

/** So many kills of each target in a random order, at random moments: all that follows from the seed. */
export function killsOf(seed: string, counts: Readonly<Record<Target, number>>): Kill[] {
  const random = randomStream(`${seed}\nkills`);
  const kills = TARGETS.flatMap((target) =>
    Array.from({ length: counts[target] }, (): Kill => {
      const { when, mostMs } = weighted(MOMENTS, random());
      const [least, most] = OUTAGES[target];
      return { target, when, delayMs: random() * mostMs, outageMs: least + random() * (most - least) };
    }),
  );
  return shuffled(kills, random);
}

/** The items in a random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!];
  }
  return mixed;
}
