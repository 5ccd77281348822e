import type { Environment } from './types.ts';

/** What an environment says beside the defaults: `global`, and values by chart. */
export interface EnvironmentValues {
  readonly description: string;
  readonly global: Readonly<Record<string, unknown>>;
  readonly charts: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const simulated = {
  payment: { settings: { processor: 'simulated' } },
  shipping: { settings: { carrier: 'simulated' } },
  'mercato-boundary': { settings: { payment: { processor: 'simulated' } } },
};

/** Orders and their runs live in DynamoDB: pods of the order service take orders, and workers drive runs, as many as it takes. */
const manyOrders = {
  'mercato-operator': { journal: 'dynamodb' },
  order: { settings: { store: 'dynamodb' } },
};

/** Events go over the bus and its queues, so that workers scale on the orders that wait. */
const aws = { enabled: true, identity: 'pod-identity', eventBus: true };

/** kind's own addresses: its Docker network, and the first of its Services. */
const kindApiServer = { cidrs: ['172.18.0.0/16', '10.96.0.1/32'] };

/** A laptop has two processors for all of it, and the day of orders is short. */
const small = (...names: string[]) => Object.fromEntries(names.map((name) => [name, { resources: { cpu: '50m' } }]));

/** The environments. What only an installation knows (account, registry, addresses) stays a default that it overrides. */
export const environments: Readonly<Record<Environment, EnvironmentValues>> = {
  kind: {
    description: 'A cluster on one machine, with simulated companies and nothing of AWS',
    global: { environment: 'kind' },
    charts: {
      ...small('mercato-operator', 'inventory', 'order', 'acquirer', 'carrier'),
      payment: { ...simulated.payment, resources: { cpu: '50m' } },
      shipping: { ...simulated.shipping, resources: { cpu: '50m' } },
      'mercato-aws': { enabled: false },
      'mercato-boundary': {
        ...simulated['mercato-boundary'],
        apiServer: kindApiServer,
        resources: { cpu: '50m' },
      },
    },
  },
  staging: {
    description: 'As production, with simulated companies',
    global: {
      environment: 'staging',
      monitoring: { enabled: true },
      aws,
    },
    charts: { ...simulated, ...manyOrders },
  },
  production: {
    description: 'Real companies, AWS, Prometheus',
    global: {
      environment: 'production',
      monitoring: { enabled: true },
      aws,
    },
    charts: { ...manyOrders, acquirer: { enabled: false }, carrier: { enabled: false } },
  },
};

/** Whether an environment declares AWS resources. */
export function usesAwsIn(environment: Environment): boolean {
  const aws = environments[environment].global['aws'] as { readonly enabled?: boolean } | undefined;
  return aws?.enabled ?? false;
}
