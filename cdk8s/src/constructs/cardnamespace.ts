import { denyAll } from '@mercato/boundary/policy/desired.ts';
import type { GlobalValues } from '../charts/global.ts';
import { namespaceOf } from './context.ts';
import { k8s, kube } from './kube.ts';
import { KEEP, namespace } from './namespace.ts';
import type { Manifest, Scope } from './scope.ts';

/** What all pods of the card namespace may ask for together, and one that says nothing gets. */
export interface CardLimits {
  readonly pods: number;
  readonly cpu: string;
  readonly memory: string;
  readonly claims: number;
}

/** What a container of the card namespace gets that does not say what it needs; the quota would refuse it otherwise. */
const DEFAULTS = { cpu: '100m', memory: '128Mi' };

/**
 * The namespace of card data: Pod Security "restricted", no way in or out, and bounds. The namespace and its deny policy stay when the release goes,
 * since services may still run there, and without the policy they would be open.
 */
export function cardNamespace(scope: Scope, global: GlobalValues, limits: CardLimits): void {
  const name = namespaceOf('card', global);
  const labels = { 'app.kubernetes.io/part-of': 'mercato' };
  namespace(scope, 'card', global);
  const deny = denyAll(name);
  scope.add({ ...deny, metadata: { ...deny.metadata, annotations: { ...KEEP } } } as unknown as Manifest);
  kube(scope, k8s.KubeResourceQuota, {
    metadata: { name: 'card', namespace: name, labels },
    spec: {
      hard: {
        pods: quantity(limits.pods),
        'requests.cpu': quantity(limits.cpu),
        'requests.memory': quantity(limits.memory),
        'limits.memory': quantity(limits.memory),
        persistentvolumeclaims: quantity(limits.claims),
        // What faces the outside has no place here.
        'services.loadbalancers': quantity(0),
        'services.nodeports': quantity(0),
      },
    },
  });
  kube(scope, k8s.KubeLimitRange, {
    metadata: { name: 'card', namespace: name, labels },
    spec: {
      limits: [
        {
          type: 'Container',
          defaultRequest: { cpu: quantity(DEFAULTS.cpu), memory: quantity(DEFAULTS.memory) },
          default: { memory: quantity(DEFAULTS.memory) },
        },
      ],
    },
  });
}

const quantity = (value: string | number): k8s.Quantity =>
  typeof value === 'number' ? k8s.Quantity.fromNumber(value) : k8s.Quantity.fromString(value);
