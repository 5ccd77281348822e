import type { Revision } from '@mercato/operator/saga/types.ts';
import type { ApiServer } from './api-server.ts';
import type { Books } from './books.ts';
import type { Desk } from './desk.ts';
import type { Faults } from './faults.ts';
import type { Network } from './network.ts';
import type { Node } from './node.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { ServiceHost } from './service-host.ts';

/** What everybody in a simulation shares. */
export interface Stage {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly network: Network;
  /** Where runs are objects; else what observers see of the journal. */
  readonly api: ApiServer;
  readonly apiNode: Node;
  readonly books: Books;
  readonly desk: Desk;
  /** By the name of the participant. */
  readonly hosts: Map<string, ServiceHost>;
  /** The OrderSaga as it is now, and what happens to its namespace. */
  readonly saga: { revision: Revision; isPaused: boolean; isLetGo: boolean };
  /** A line of the trace. */
  readonly note: (text: string) => void;
  /** Something that must not happen in the simulation itself. */
  readonly fail: (text: string) => void;
}
