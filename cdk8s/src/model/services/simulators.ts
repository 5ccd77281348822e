import type { Service, Setting } from '../types.ts';

const faults: readonly Setting[] = [
  {
    name: 'faultSeed',
    variable: 'FAULT_SEED',
    type: 'string',
    default: 'mercato',
    limits: { maxLength: 64 },
    description: 'From which the faults follow',
  },
  {
    name: 'faultRates',
    variable: 'FAULT_RATES',
    type: 'string',
    default: '',
    limits: { pattern: '^([a-z-]+=[0-9.]+(,[a-z-]+=[0-9.]+)*)?$' },
    description: 'How often each fault happens, as `timeout=0.01,error=0.02`',
  },
];

const simulator = {
  component: 'simulator',
  zone: 'simulators',
  resources: { cpu: '100m', memory: '192Mi' },
  scale: { from: 1, to: 1 },
  state: { kind: 'embedded', size: '1Gi' },
  objective: {
    availability: 99,
    latency: { milliseconds: 500, percent: 95 },
    throughput: 500,
    source: 'a stand-in: it fails as the real company does, and nobody is paged',
  },
  calls: [],
  cardData: false,
  environments: ['kind', 'staging'],
} as const satisfies Partial<Service>;

export const acquirer: Service = {
  ...simulator,
  name: 'acquirer',
  description: 'Simulates a card acquirer: approvals, declines, time-outs after the effect, and a log of all it did.',
  image: 'payment',
  program: 'services/payment/src/acquirer/main.ts',
  settings: faults,
};

export const carrier: Service = {
  ...simulator,
  name: 'carrier',
  description:
    'Simulates a carrier: bookings, pick-ups, refusals, time-outs after the effect, and a log of all it did.',
  image: 'shipping',
  program: 'services/shipping/src/carrier/main.ts',
  settings: faults,
};
