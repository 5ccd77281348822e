import type { Service } from '../types.ts';
import { eventBus, eventQueue } from './aws-settings.ts';

export const inventory: Service = {
  name: 'inventory',
  description: 'Keeps the stock of every warehouse: reserves, commits and releases goods for orders.',
  component: 'service',
  zone: 'shop',
  image: 'inventory',
  program: 'services/inventory/src/main.ts',
  resources: { cpu: '250m', memory: '256Mi' },
  scale: { from: 2, to: 12, queue: { name: 'inventory-events', messagesPerPod: 100 } },
  state: { kind: 'embedded', size: '10Gi' },
  objective: {
    availability: 99.9,
    latency: { milliseconds: 100, percent: 99 },
    throughput: 1_000,
    source:
      'each order needs three commands of it, so it must not be what makes order processing miss its own objective',
  },
  calls: [],
  tokens: { audience: 'inventory', eventSenders: ['shipping'] },
  tables: [
    {
      name: 'inventory',
      partitionKey: { name: 'productId', type: 'S' },
      sortKey: { name: 'warehouseId', type: 'S' },
      indexes: [
        {
          name: 'StockLevelIndex',
          partitionKey: { name: 'warehouseId', type: 'S' },
          sortKey: { name: 'stockLevel', type: 'N' },
          projection: 'ALL',
        },
      ],
      why: 'stock by product and warehouse',
    },
  ],
  queues: [
    {
      name: 'inventory-events',
      visibilitySeconds: 30,
      maxReceives: 5,
      why: 'what shipping tells: goods that left a warehouse',
    },
  ],
  events: {
    publishes: ['reserved', 'committed', 'released', 'expired', 'shipped'].map((end) => `dev.mercato.inventory.${end}`),
    consumes: [
      { types: ['dev.mercato.shipping.picked-up', 'dev.mercato.shipping.delivered'], queue: 'inventory-events' },
    ],
  },
  // A command that comes again is answered again, so that a few receives are no failure.
  commands: { visibilitySeconds: 60, maxReceives: 20 },
  cardData: false,
  settings: [
    eventBus,
    eventQueue('inventory-events', 'what shipping tells'),
    {
      name: 'sourcing',
      variable: 'MERCATO_SOURCING',
      type: 'string',
      default: 'priority',
      limits: { enum: ['priority', 'fewest-splits', 'nearest'] },
      description: 'Which warehouse an order is taken from',
    },
    {
      name: 'hold',
      variable: 'MERCATO_HOLD',
      type: 'string',
      default: '15m',
      limits: { pattern: '^[0-9]+(ms|s|m|h|d)$' },
      description: 'How long goods are held for an order that is not paid yet',
    },
  ],
};
