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
    },
    { to: 'mercato-worker', door: 'intake', why: 'the same, where workers take orders in' },
  ],
  tokens: { audience: 'order', eventSenders: ['mercato-operator'] },
  topics: [{ name: 'order-announcements', why: 'what customers are told of their orders' }],
  events: {
    publishes: [
      ...['placed', 'cancel-requested', 'completed', 'failed', 'cancelled', 'held'].map(
        (end) => `dev.mercato.order.${end}`,
      ),
    ],
    consumes: [],
  },
  cardData: false,
  settings: [
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
