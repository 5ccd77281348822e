import type { Service } from '../types.ts';
import { eventBus } from './aws-settings.ts';

export const payment: Service = {
  name: 'payment',
  description: 'Authorises, captures, voids and refunds with the acquirer. Knows tokens of cards, never cards.',
  component: 'service',
  zone: 'card',
  image: 'payment',
  program: 'services/payment/src/main.ts',
  resources: { cpu: '250m', memory: '256Mi' },
  scale: { from: 2, to: 10 },
  state: { kind: 'embedded', size: '10Gi' },
  objective: {
    availability: 99.95,
    latency: { milliseconds: 1_000, percent: 99 },
    throughput: 500,
    source: "the architecture blueprint's table: Payment Service",
  },
  calls: [
    {
      to: 'acquirer',
      why: 'the simulated acquirer, where there is one',
      variable: 'ACQUIRER_URL',
      when: { processor: 'simulated' },
    },
  ],
  outside: [{ name: 'processor', ports: [443], why: "the payment processor's API", when: { processor: 'stripe' } }],
  tokens: { audience: 'payment' },
  events: {
    publishes: [
      'authorised',
      'declined',
      'voided',
      'expired',
      'captured',
      'capture-declined',
      'refunded',
      'refund-declined',
    ].map((end) => `dev.mercato.payment.${end}`),
    consumes: [],
  },
  cardData: true,
  settings: [
    eventBus,
    {
      name: 'processor',
      variable: 'ACQUIRER',
      type: 'string',
      default: 'stripe',
      limits: { enum: ['simulated', 'stripe'] },
      description: 'Who carries out payments: stripe, or the simulated acquirer of this cluster',
    },
    {
      name: 'processorTimeoutMs',
      variable: 'PROCESSOR_TIMEOUT_MS',
      type: 'integer',
      default: 2_000,
      limits: { minimum: 10, maximum: 60_000 },
      description: 'How long one call to the processor may take, in milliseconds',
    },
  ],
  secrets: [
    {
      name: 'stripe',
      key: 'stripe-key',
      variable: 'STRIPE_KEY_FILE',
      description: "Stripe's secret key",
      when: { processor: 'stripe' },
    },
  ],
};
