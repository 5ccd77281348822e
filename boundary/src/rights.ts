import type { PolicyRule } from '@mercato/operator/api/rbac.ts';

/**
 * What the boundary's controller may do in the cluster: exactly what it does (boundary/src/rights.test.ts). The charts' ClusterRole is made of this.
 *
 * It reads no Secret and no ConfigMap. Its writes are kept in check once more by admission: NetworkPolicies in card namespaces only, and no Jobs but
 * probes, which have neither token nor volume (boundary/src/admission/).
 */
export const clusterRights: readonly PolicyRule[] = [
  // The finalizer is metadata; spec is never written. `enforce` lets it through the admission policies.
  { apiGroups: ['mercato.dev'], resources: ['pciboundaries'], verbs: ['list', 'watch', 'patch', 'enforce'] },
  { apiGroups: ['mercato.dev'], resources: ['pciboundaries/status'], verbs: ['patch'] },
  {
    apiGroups: ['networking.k8s.io'],
    resources: ['networkpolicies'],
    verbs: ['list', 'watch', 'create', 'patch', 'delete'],
  },
  // What the findings are about. Which namespaces are for card data is known at run time only, so it reads all.
  {
    apiGroups: [''],
    resources: ['namespaces', 'nodes', 'pods', 'services', 'serviceaccounts', 'resourcequotas'],
    verbs: ['list', 'watch'],
  },
  { apiGroups: ['rbac.authorization.k8s.io'], resources: ['rolebindings'], verbs: ['list', 'watch'] },
  // Is what should be prevented still prevented?
  {
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['validatingadmissionpolicies', 'validatingadmissionpolicybindings'],
    verbs: ['list', 'watch'],
  },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['list', 'create', 'delete'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
];

/** What it may do in its own namespace: hold its lease. */
export const namespaceRights: readonly PolicyRule[] = [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
];

/** What whoever uninstalls the controller may do before: take its one boundary away (boundary/src/withdraw.ts). @param name the boundary's */
export function withdrawRights(name: string): readonly PolicyRule[] {
  return [
    { apiGroups: ['mercato.dev'], resources: ['pciboundaries'], verbs: ['get', 'delete'], resourceNames: [name] },
  ];
}
