import { overridesOf } from '../backends/environments.ts';
import { objectsOf } from '../backends/manifests.ts';
import type { KubernetesObject } from '../backends/render.ts';
import { merge, type Overrides } from '../backends/values.ts';
import { packagesOf } from '../charts/index.ts';
import { withoutCommandQueue } from '../model/derive.ts';
import { environments } from '../model/environments.ts';
import { mercato } from '../model/mercato.ts';
import { shipping } from '../model/services/shipping.ts';
import type { Environment, Model, Service } from '../model/types.ts';

/** What the shop has, without a queue of commands: those are shipping's own. */
const plain: Service = withoutCommandQueue(shipping);

/** A service with card data, and with all that the shop's own have not: a queue that nothing feeds, items that go by themselves, keys without a sort key. */
export const vault: Service = {
  ...plain,
  name: 'vault',
  zone: 'card',
  cardData: true,
  calls: [],
  tables: [
    {
      name: 'vault-tokens',
      partitionKey: { name: 'token', type: 'S' },
      indexes: [
        { name: 'ByHash', partitionKey: { name: 'hash', type: 'B' }, projection: 'KEYS_ONLY' },
        {
          name: 'ByTime',
          partitionKey: { name: 'hash', type: 'B' },
          sortKey: { name: 'at', type: 'N' },
          projection: 'ALL',
        },
      ],
      timeToLive: 'goneAt',
      why: 'cards by token',
    },
  ],
  queues: [{ name: 'vault-webhooks', visibilitySeconds: 60, maxReceives: 3, why: 'what the processor tells' }],
  topics: [],
  events: { publishes: [], consumes: [] },
};

/** A service that has nothing but a topic. */
export const notices: Service = {
  ...plain,
  name: 'notices',
  calls: [],
  topics: [{ name: 'notices-sent', why: 'who wants to know' }],
  events: { publishes: [], consumes: [] },
};

/** A service that has nothing in AWS. */
export const idle: Service = { ...plain, name: 'idle', calls: [], events: { publishes: [], consumes: [] } };

/** The shop, and services that have all that can be had in AWS. */
export const richModel: Model = { services: [...mercato.services, vault, notices, idle] };

export const isAck = ({ apiVersion }: KubernetesObject): boolean => apiVersion.includes('.services.k8s.aws/');

/**
 * Every resource of ACK that a model gives in an environment: the platform's and all services'.
 * @param aws values under `global.aws`, over the environment's
 * @param platform values of mercato-aws
 */
export function ackObjects(
  model: Model,
  environment: Environment,
  aws: Overrides = {},
  platform: Overrides = {},
): KubernetesObject[] {
  return packagesOf(model)
    .filter(({ definition, dependencies }) => dependencies.length === 0 && 'global' in definition.values.properties)
    .flatMap((packaged) => {
      const own = overridesOf(packaged, environments[environment]);
      const more = packaged.definition.name === 'mercato-aws' ? platform : {};
      return objectsOf(packaged, merge({ ...own, ...more }, { global: { aws } }) as Overrides);
    })
    .filter(isAck);
}

/** The specification of an object, as tests look into it. */
export const specOf = (object: KubernetesObject): Record<string, unknown> => object['spec'] as Record<string, unknown>;

/** An IAM policy, as tests look into it. */
export interface PolicyDocument {
  readonly Version: string;
  readonly Statement: readonly {
    readonly Sid: string;
    readonly Effect: string;
    readonly Principal?: unknown;
    readonly Action: readonly string[];
    readonly Resource?: string | readonly string[];
    readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  }[];
}

export const parsed = (text: unknown): PolicyDocument => JSON.parse(text as string) as PolicyDocument;

/** Every policy in an object: of a key, queue or topic, of a role what it trusts and what it allows. */
export function policiesIn(object: KubernetesObject): PolicyDocument[] {
  const { policy, assumeRolePolicyDocument, inlinePolicies } = specOf(object);
  return [policy, assumeRolePolicyDocument, ...Object.values((inlinePolicies ?? {}) as object)]
    .filter((text) => text !== undefined)
    .map(parsed);
}
