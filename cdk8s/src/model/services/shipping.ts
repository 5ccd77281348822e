import type { Service } from '../types.ts';
import { eventBus } from './aws-settings.ts';

export const shipping: Service = {
  name: 'shipping',
  description: 'Books parcels with the carrier, cancels them, and tells when goods have left.',
  component: 'service',
  zone: 'shop',
  image: 'shipping',
  program: 'services/shipping/src/main.ts',
  resources: { cpu: '200m', memory: '256Mi' },
  scale: { from: 2, to: 8 },
  state: { kind: 'embedded', size: '5Gi' },
  objective: {
    availability: 99.9,
    latency: { milliseconds: 500, percent: 99 },
    throughput: 1_000,
    source: 'one booking for each order, within the half second that the blueprint gives order processing',
  },
  calls: [
    { to: 'inventory', why: 'events: goods that left a warehouse', unless: 'bus' },
    {
      to: 'carrier',
      why: 'the simulated carrier, where there is one',
      variable: 'CARRIER_URL',
      when: { carrier: 'simulated' },
    },
  ],
  outside: [{ name: 'carrier', ports: [443], why: "the carrier's API", when: { carrier: 'easypost' } }],
  tokens: { audience: 'shipping' },
  events: {
    publishes: ['booked', 'refused', 'picked-up', 'delivered', 'cancelled'].map((end) => `dev.mercato.shipping.${end}`),
    consumes: [],
  },
  commands: { visibilitySeconds: 60, maxReceives: 20 },
  cardData: false,
  settings: [
    eventBus,
    {
      name: 'carrier',
      variable: 'CARRIER',
      type: 'string',
      default: 'easypost',
      limits: { enum: ['simulated', 'easypost'] },
      description: 'Who carries parcels: easypost, or the simulated carrier of this cluster',
    },
    {
      name: 'carrierTimeoutMs',
      variable: 'CARRIER_TIMEOUT_MS',
      type: 'integer',
      default: 2_000,
      limits: { minimum: 10, maximum: 60_000 },
      description: 'How long one call to the carrier may take, in milliseconds',
    },
  ],
  secrets: [
    {
      name: 'easypost',
      key: 'easypost-key',
      variable: 'EASYPOST_KEY_FILE',
      description: "EasyPost's secret key",
      when: { carrier: 'easypost' },
    },
    {
      name: 'easypost',
      key: 'origins.json',
      variable: 'EASYPOST_ORIGINS_FILE',
      description: 'The address of each warehouse',
      when: { carrier: 'easypost' },
    },
  ],
};
