import type { Service } from '../types.ts';

const controller = {
  component: 'controller',
  port: 8081,
  scale: { from: 2, to: 2 },
  state: { kind: 'none' },
  cardData: false,
} as const satisfies Partial<Service>;

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
  calls: [
    { to: 'inventory', why: 'reserves, commits and releases goods; reads stock' },
    { to: 'payment', why: 'authorises, captures and voids' },
    { to: 'shipping', why: 'books and cancels parcels' },
    { to: 'order', why: 'tells what became of orders: events' },
  ],
  doors: [{ name: 'intake', port: 8090, why: 'orders and cancels, as events of the order service' }],
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
