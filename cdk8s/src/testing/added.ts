import { mercato } from '../model/mercato.ts';
import type { Model, Service } from '../model/types.ts';

/** A service that the model has not got: one entry, with something of everything that can be said in it, that several pods can work for. */
export const search: Service = {
  name: 'search',
  description: 'Finds products by words.',
  component: 'service',
  zone: 'shop',
  image: 'search',
  program: 'services/search/src/main.ts',
  resources: { cpu: '200m', memory: '256Mi' },
  scale: { from: 2, to: 20, cpuPercent: 70, queue: { name: 'search-events', messagesPerPod: 250 } },
  state: { kind: 'none' },
  objective: {
    availability: 99.9,
    latency: { milliseconds: 200, percent: 99 },
    throughput: 2_000,
    source: 'made up for a test',
  },
  calls: [
    { to: 'inventory', why: 'what is in stock', variable: 'INVENTORY_URL' },
    { to: 'carrier', why: 'for a condition', when: { ranking: 'delivery' } },
  ],
  outside: [{ name: 'engine', ports: [443, 9200], why: 'OpenSearch', when: { ranking: 'engine' } }],
  tokens: { audience: 'search' },
  tables: [
    {
      name: 'search-words',
      partitionKey: { name: 'word', type: 'S' },
      why: 'words',
    },
  ],
  queues: [{ name: 'search-events', visibilitySeconds: 30, maxReceives: 3, why: 'changes of stock' }],
  events: {
    publishes: ['dev.mercato.search.missed'],
    consumes: [{ types: ['dev.mercato.inventory.committed'], queue: 'search-events' }],
  },
  cardData: false,
  settings: [
    {
      name: 'ranking',
      variable: 'RANKING',
      type: 'string',
      default: 'words',
      limits: { enum: ['words', 'delivery', 'engine'] },
      description: 'What comes first',
    },
    {
      name: 'fuzzy',
      variable: 'FUZZY',
      type: 'boolean',
      default: true,
      description: 'Whether words may be misspelt',
    },
  ],
  secrets: [
    {
      name: 'engine',
      key: 'password',
      variable: 'ENGINE_PASSWORD_FILE',
      description: "The engine's password",
      when: { ranking: 'engine' },
    },
  ],
};

/** The shop with {@link search}. */
export const withSearch: Model = { services: [...mercato.services, search] };
