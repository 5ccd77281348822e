import type { KubeClient } from '@mercato/operator/kube/client.ts';
import type { Reach } from './reach.ts';

/** Where a day is played. */
export interface Venue {
  readonly client: KubeClient;
  readonly reach: Reach;
  /** Why the day cannot go on, as soon as it cannot. @default it always can: what is killed is started again */
  readonly broken?: () => Error | undefined;
}
