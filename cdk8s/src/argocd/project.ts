import { ARGO_API_VERSION, CASCADE, type Installation, type Manifest, PART_OF_MERCATO } from './types.ts';

/** The project of the charts' Applications. */
export const CHARTS_PROJECT = 'mercato';
/** The project of the environments' Applications, which make Applications and nothing else. */
export const ENVIRONMENTS_PROJECT = 'mercato-environments';

/** Cluster-scoped kinds that our charts have, and no others. */
const CLUSTER_KINDS: readonly { readonly group: string; readonly kind: string }[] = [
  { group: '', kind: 'Namespace' },
  { group: 'apiextensions.k8s.io', kind: 'CustomResourceDefinition' },
  { group: 'admissionregistration.k8s.io', kind: 'ValidatingAdmissionPolicy' },
  { group: 'admissionregistration.k8s.io', kind: 'ValidatingAdmissionPolicyBinding' },
  { group: 'rbac.authorization.k8s.io', kind: 'ClusterRole' },
  { group: 'rbac.authorization.k8s.io', kind: 'ClusterRoleBinding' },
  { group: 'mercato.dev', kind: 'PciBoundary' },
];

/**
 * The two AppProjects. Charts go into our namespaces only, from our repository only. Environments are a project of their own because they write into
 * Argo CD's namespace: were that a destination of the charts, a chart could make an Application of any project.
 */
export function projects({ repoURL, argocdNamespace, servers, namespaces }: Installation): readonly Manifest[] {
  const project = (name: string, spec: object): Manifest => ({
    apiVersion: ARGO_API_VERSION,
    kind: 'AppProject',
    metadata: { name, namespace: argocdNamespace, labels: PART_OF_MERCATO, finalizers: [CASCADE] },
    spec,
  });
  return [
    project(CHARTS_PROJECT, {
      description: 'The charts of Mercato, into its own namespaces.',
      sourceRepos: [repoURL],
      destinations: servers.flatMap((server) => Object.values(namespaces).map((namespace) => ({ server, namespace }))),
      clusterResourceWhitelist: CLUSTER_KINDS,
      namespaceResourceBlacklist: ['Application', 'ApplicationSet', 'AppProject'].map((kind) => ({
        group: 'argoproj.io',
        kind,
      })),
    }),
    project(ENVIRONMENTS_PROJECT, {
      description: 'The environments of Mercato: each an Application that makes one Application for each chart.',
      sourceRepos: [repoURL],
      destinations: [{ server: 'https://kubernetes.default.svc', namespace: argocdNamespace }],
      clusterResourceWhitelist: [],
      namespaceResourceWhitelist: [{ group: 'argoproj.io', kind: 'Application' }],
    }),
  ];
}
