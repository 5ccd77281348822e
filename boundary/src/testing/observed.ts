import type { KubeObject } from '@mercato/operator/kube/types.ts';
import type { Observed, ObservedPod } from '../findings/types.ts';
import { CARD_DATA, CARD_TAINT, YES } from '../labels.ts';
import { declared } from '../policy/desired.ts';
import type { Boundary } from '../policy/types.ts';

const restricted = { [CARD_DATA]: YES, 'pod-security.kubernetes.io/enforce': 'restricted' };
const digest = `@sha256:${'0'.repeat(64)}`;

/** A running pod as the charts make them: labelled, owned, with an account and image of its own, and on a card node if it is for cards. */
export function podOf(namespace: string, app: string, more: ObservedPod['spec'] = {}, meta: object = {}): ObservedPod {
  const isCard = namespace === 'card';
  return {
    metadata: {
      namespace,
      name: `${app}-0`,
      labels: { app },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: app, uid: app }],
      ...meta,
    },
    spec: {
      nodeName: isCard ? 'card-node' : 'node',
      serviceAccountName: app,
      automountServiceAccountToken: false,
      containers: [{ name: app, image: `mercato/${app}${digest}`, ports: [{ name: 'http', containerPort: 8080 }] }],
      ...(isCard && { tolerations: [{ key: CARD_TAINT.key, operator: 'Exists' }] }),
      ...more,
    },
    status: { phase: 'Running' },
  };
}

/** A namespaced object of which only its name matters. */
export function objectOf(kind: string, namespace: string | undefined, name: string): KubeObject {
  return { kind, metadata: { name, ...(namespace !== undefined && { namespace }) } };
}

/** A cluster in which all is as the boundary wants it, with these pods, and other objects on top. */
export function observedOf(boundary: Boundary, pods: readonly ObservedPod[], more: Partial<Observed> = {}): Observed {
  const names = new Set(pods.map(({ metadata }) => metadata.namespace ?? 'default'));
  const others = [...names].filter((name) => !boundary.spec.namespaces.includes(name));
  return {
    namespaces: [
      ...boundary.spec.namespaces.map((name) => ({ metadata: { name, labels: { ...restricted } } })),
      ...others.map((name) => ({ metadata: { name, labels: {} } })),
    ],
    policies: declared(boundary),
    pods,
    nodes: [
      { metadata: { name: 'card-node', labels: { [CARD_DATA]: YES } }, spec: { taints: [CARD_TAINT] } },
      { metadata: { name: 'node' } },
    ],
    serviceAccounts: [],
    quotas: boundary.spec.namespaces.map((namespace) => objectOf('ResourceQuota', namespace, 'card')),
    services: [],
    roleBindings: [],
    otherPolicies: [],
    ...more,
  };
}
