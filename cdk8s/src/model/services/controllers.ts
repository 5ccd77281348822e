import { JOURNAL_TABLE } from '@mercato/operator/journals/dynamodb/table.ts';
import type { Call, Door, Service } from '../types.ts';
import { SAGA_EVENTS } from './saga-events.ts';

const controller = {
  component: 'controller',
  port: 8081,
  scale: { from: 2, to: 2 },
  state: { kind: 'none' },
  cardData: false,
} as const satisfies Partial<Service>;

/** Whom whoever drives runs calls. */
const calls: readonly Call[] = [
  { to: 'inventory', why: 'reserves, commits and releases goods; reads stock' },
  { to: 'payment', why: 'authorises, captures and voids' },
  { to: 'shipping', why: 'books and cancels parcels' },
  { to: 'order', why: 'tells what became of orders: events', unless: 'bus' },
];

/** Where orders come in. Which of the two processes answers there is a matter of the journal, so the address is neither's. */
const doors: readonly Door[] = [
  {
    name: 'intake',
    port: 8090,
    why: 'orders and cancels, as events of the order service',
    address: 'mercato-intake',
  },
];

export const operator: Service = {
  ...controller,
  name: 'mercato-operator',
  description: "Carries orders through their sagas and keeps warehouses' stock.",
  zone: 'system',
  image: 'operator',
  program: 'operator/src/main.ts',
  resources: { cpu: '500m', memory: '640Mi' },
  objective: {
    availability: 99.9,
    latency: { milliseconds: 500, percent: 99 },
    throughput: 1_000,
    source: "the architecture blueprint's table: Order Processing",
  },
  calls,
  doors,
  traces: true,
  sharedTables: [JOURNAL_TABLE],
};

/** Drives the runs of the dynamodb journal; with another one the operator itself does, and there is none. */
export const worker: Service = {
  ...controller,
  name: 'mercato-worker',
  description: 'Takes orders in and drives their runs, where these live in DynamoDB.',
  partOf: operator.name,
  zone: operator.zone,
  image: operator.image,
  program: operator.program,
  resources: { cpu: '1', memory: '1536Mi' },
  scale: { from: 2, to: 20, queue: { name: 'orders', messagesPerPod: 500 } },
  objective: operator.objective,
  calls,
  doors,
  traces: true,
  tables: [JOURNAL_TABLE],
  queues: [
    {
      name: 'orders',
      visibilitySeconds: 30,
      // Who is busy gives a message back, so receives are no failures (docs/adr/sqs-intake.md).
      maxReceives: 1_000,
      refuses: true,
      why: 'orders and cancels that wait to be taken in',
    },
  ],
  sendsCommands: true,
  events: {
    // As whom the operator tells of runs, whichever of its processes does.
    source: '/mercato/operator',
    publishes: SAGA_EVENTS,
    consumes: [{ types: ['dev.mercato.order.placed', 'dev.mercato.order.cancel-requested'], queue: 'orders' }],
  },
};

export const boundary: Service = {
  ...controller,
  name: 'mercato-boundary',
  description: 'Keeps and proves what may reach the card namespaces.',
  zone: 'boundary',
  image: 'boundary',
  program: 'boundary/src/main.ts',
  resources: { cpu: '100m', memory: '192Mi' },
  objective: {
    availability: 99.9,
    latency: { milliseconds: 5_000, percent: 99 },
    throughput: 1,
    source: 'drift is reverted within 5 s',
  },
  calls: [],
};
