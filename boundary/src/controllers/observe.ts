import type { PciBoundary } from '@mercato/operator/api/pciboundary.ts';
import type { Cache } from '@mercato/operator/kube/cache.ts';
import type { KubeObject, Namespace, ServiceAccount } from '@mercato/operator/kube/types.ts';
import type {
  Observed,
  ObservedAdmission,
  ObservedNode,
  ObservedRoleBinding,
  ObservedService,
} from '../findings/types.ts';
import type { SeenPod } from '../kube/resources.ts';
import { PROBE_OF } from '../labels.ts';
import type { NetworkPolicy } from '../policy/types.ts';

/** An index of objects by their namespace. */
export const BY_PLACE = 'place';

/** What {@link BY_PLACE} files an object under. */
export function placeKeys({ metadata }: KubeObject): string[] {
  return [metadata.namespace ?? ''];
}

/** The caches that rules look at; all that are of namespaces, but pods, with the index {@link BY_PLACE}. */
export interface Sights {
  readonly namespaces: Cache<Namespace>;
  readonly pods: Cache<SeenPod>;
  readonly nodes: Cache<ObservedNode>;
  readonly policies: Cache<NetworkPolicy>;
  readonly services: Cache<ObservedService>;
  readonly serviceAccounts: Cache<ServiceAccount>;
  readonly roleBindings: Cache<ObservedRoleBinding>;
  readonly quotas: Cache<KubeObject>;
  readonly admissionPolicies: Cache<ObservedAdmission>;
  readonly admissionBindings: Cache<ObservedAdmission>;
}

/** What the rules look at for a boundary. Its own probes are not among the pods: they are there for seconds, and on purpose. */
export function observe({ spec }: PciBoundary, sights: Sights): Observed {
  const inside = <T extends KubeObject>(cache: Cache<T>): T[] =>
    spec.namespaces.flatMap((namespace) => cache.byIndex(BY_PLACE, namespace));
  return {
    namespaces: [...sights.namespaces.values()],
    policies: inside(sights.policies),
    pods: [...sights.pods.values()].filter((pod) => !isProbe(pod)),
    nodes: [...sights.nodes.values()],
    admissionPolicies: [...sights.admissionPolicies.values()],
    admissionBindings: [...sights.admissionBindings.values()],
    serviceAccounts: inside(sights.serviceAccounts),
    quotas: inside(sights.quotas),
    services: inside(sights.services),
    roleBindings: inside(sights.roleBindings),
  };
}

/** Admission lets nobody but the boundary's controller make Jobs with the label, and nobody but the Job controller their pods. */
function isProbe({ metadata }: SeenPod): boolean {
  return (
    metadata.labels?.[PROBE_OF] !== undefined && (metadata.ownerReferences ?? []).some(({ kind }) => kind === 'Job')
  );
}
