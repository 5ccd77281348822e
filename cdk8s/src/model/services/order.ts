import { ORDERS_TABLE } from '@mercato/order/adapters/dynamodb/table.ts';
import type { Service } from '../types.ts';

export const order: Service = {
  name: 'order',
  description: 'Takes orders, hands them to the operator, and tells customers what became of them.',
  component: 'service',
  zone: 'shop',
  image: 'order',
  program: 'services/order/src/main.ts',
  resources: { cpu: '500m', memory: '384Mi' },
  scale: { from: 3, to: 20 },
  state: { kind: 'embedded', size: '20Gi' },
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
      when: { intake: 'http' },
    },
    {
      to: 'mercato-worker',
      door: 'intake',
      why: 'the same, where workers take orders in',
      when: { intake: 'http' },
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
        types: ['held', 'resumed', 'succeeded', 'compensated', 'aborted'].map((end) => `dev.mercato.saga.${end}`),
        queue: 'order-events',
      },
    ],
  },
  announces: { audience: 'order-announcements', why: 'what customers are told of their orders' },
  cardData: false,
  settings: [
    {
      name: 'intake',
      type: 'string',
      default: 'http',
      limits: { enum: ['http', 'bus'] },
      description:
        'How orders reach the operator: straight, or over the bus of `eventBus`, from where they go to the queue `orders`',
    },
    {
      name: 'store',
      variable: 'MERCATO_ORDERS',
      type: 'string',
      default: 'sqlite',
      limits: { enum: ['sqlite', 'dynamodb'] },
      description: 'Where orders are kept: a file on the volume of one pod, or a DynamoDB table',
    },
    {
      name: 'table',
      variable: 'MERCATO_ORDERS_TABLE',
      type: 'string',
      default: '',
      limits: { pattern: '^([a-zA-Z0-9_.-]{3,255})?$' },
      description: 'The table, with `store: dynamodb`, as `mercato-production-orders`',
    },
    {
      name: 'eventBus',
      variable: 'MERCATO_EVENT_BUS',
      type: 'string',
      default: '',
      limits: { maxLength: 1_600 },
      description:
        'An EventBridge bus, by name or ARN: with `intake: bus` all events go there, else what customers are told; empty: none',
    },
    {
      name: 'eventQueue',
      variable: 'MERCATO_EVENT_QUEUE',
      type: 'string',
      default: '',
      limits: { pattern: '^(https?://.+)?$' },
      description: 'URL of the SQS queue with what the operator tells of sagas; empty: over HTTP only',
    },
    {
      name: 'announcementsTopic',
      variable: 'MERCATO_ANNOUNCEMENTS_TOPIC',
      type: 'string',
      default: '',
      limits: { pattern: '^(arn:aws[a-z-]*:sns:.+)?$' },
      description: 'ARN of the SNS topic for what customers are told; empty: none',
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
