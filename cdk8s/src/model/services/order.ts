import { ORDERS_TABLE } from '@mercato/order/adapters/dynamodb/table.ts';
import type { Service } from '../types.ts';
import { eventBus, eventQueue } from './aws-settings.ts';
import { SAGA_EVENTS } from './saga-events.ts';

export const order: Service = {
  name: 'order',
  description: 'Takes orders, hands them to the operator, and tells customers what became of them.',
  component: 'service',
  zone: 'shop',
  image: 'order',
  program: 'services/order/src/main.ts',
  resources: { cpu: '500m', memory: '384Mi' },
  scale: { from: 3, to: 20, queue: { name: 'order-events', messagesPerPod: 1_000 } },
  state: { kind: 'embedded', size: '20Gi', shared: { store: 'dynamodb' } },
  api: true,
  runsIn: 'MERCATO_NAMESPACE',
  objective: {
    availability: 99.9,
    latency: { milliseconds: 500, percent: 99 },
    throughput: 1_000,
    source: "the architecture blueprint's table: Order Processing",
  },
  calls: [
    {
      to: 'mercato-operator',
      door: 'intake',
      path: '/events',
      why: 'events: orders that were placed, and cancels',
      variable: 'MERCATO_INTAKE_URL',
      token: { audience: 'mercato-operator', variable: 'MERCATO_INTAKE_TOKEN_FILE' },
      unless: 'bus',
    },
    {
      to: 'mercato-worker',
      door: 'intake',
      why: 'the same, where workers take orders in',
      unless: 'bus',
    },
  ],
  tokens: { audience: 'order', eventSenders: ['mercato-operator'] },
  tables: [ORDERS_TABLE],
  queues: [
    {
      name: 'order-events',
      visibilitySeconds: 60,
      // What cannot be taken while the store is away comes again, later each time.
      maxReceives: 100,
      refuses: true,
      why: 'what the operator tells of sagas',
    },
  ],
  topics: [{ name: 'order-announcements', why: 'what customers are told of their orders' }],
  events: {
    publishes: [
      ...['placed', 'cancel-requested', 'completed', 'failed', 'cancelled', 'held'].map(
        (end) => `dev.mercato.order.${end}`,
      ),
    ],
    consumes: [
      {
        types: SAGA_EVENTS,
        queue: 'order-events',
      },
    ],
  },
  announces: { audience: 'order-announcements', why: 'what customers are told of their orders' },
  cardData: false,
  settings: [
    {
      name: 'store',
      variable: 'MERCATO_ORDERS',
      type: 'string',
      default: 'sqlite',
      limits: { enum: ['sqlite', 'dynamodb'] },
      description:
        'Where orders are kept: a file on the volume of one pod, or a DynamoDB table that 3 to 20 pods share. Orders do not move from one to the other',
    },
    {
      name: 'table',
      variable: 'MERCATO_ORDERS_TABLE',
      type: 'string',
      default: '',
      declared: { kind: 'table', table: ORDERS_TABLE.name },
      limits: { pattern: '^([a-zA-Z0-9_.-]{3,255})?$' },
      description: 'Another table than the one that is declared, with `store: dynamodb`',
    },
    eventBus,
    eventQueue('order-events', 'what the operator tells of sagas'),
    {
      name: 'announcementsTopic',
      variable: 'MERCATO_ANNOUNCEMENTS_TOPIC',
      type: 'string',
      default: '',
      declared: { kind: 'topic', topic: 'order-announcements' },
      limits: { pattern: '^(arn:aws[a-z-]*:sns:.+)?$' },
      description: 'ARN of another SNS topic for what customers are told than the one that is declared',
    },
    {
      name: 'currencies',
      variable: 'MERCATO_CURRENCIES',
      type: 'string',
      default: '',
      limits: { pattern: '^([A-Z]{3}(,[A-Z]{3})*)?$' },
      description: 'Currencies that orders may have, as `EUR,GBP`; empty: any',
    },
    {
      name: 'commitTarget',
      variable: 'MERCATO_COMMIT_TARGET',
      type: 'string',
      default: '50ms',
      limits: { pattern: '^[0-9]+(ms|s)$' },
      description: 'How long an order may wait for its commit before others are turned away (429)',
    },
    {
      name: 'maxStreams',
      variable: 'MERCATO_MAX_STREAMS',
      type: 'integer',
      default: 1_000,
      limits: { minimum: 0, maximum: 100_000 },
      description: 'Streams of events that are open at once',
    },
  ],
};
