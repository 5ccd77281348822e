import { stringify } from 'yaml';

/** The chart of a service that does nothing: what waves, pruning and reverting need, and no more. */
export interface StandIn {
  readonly name: string;
  /** What runs, if anything does. */
  readonly workload?: 'Deployment' | 'StatefulSet';
  /** What the chart has beside it. */
  readonly objects?: readonly Templated[];
}

/** A kind that stands for ours, which other tests on the same cluster use. */
export const STANDIN_GROUP = 'argocd-e2e.mercato.dev';

/**
 * Files of stand-in charts, and of an environment.
 *
 * @param image one that the cluster's node has, and that runs until it is ended
 */
export function standInFiles(standIns: readonly StandIn[], image: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const { name, workload: kind, objects = [] } of standIns) {
    files[`environments/kind/${name}.yaml`] = stringify({ global: { image } });
    files[`charts/${name}/Chart.yaml`] = stringify({ apiVersion: 'v2', name, version: '0.1.0' });
    const running = kind === undefined ? [] : [workload(name, kind), service(name)];
    for (const object of [...objects, ...running]) {
      files[`charts/${name}/templates/${object.kind.toLowerCase()}.yaml`] = stringify(object);
    }
  }
  return files;
}

/** An object, in which `{{ }}` is Helm's. */
export interface Templated {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

function workload(name: string, kind: 'Deployment' | 'StatefulSet'): Templated {
  const labels = { 'app.kubernetes.io/name': name };
  const restricted = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    runAsUser: 65_532,
    seccompProfile: { type: 'RuntimeDefault' },
  };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      // Soon, for the one that cannot start; a busy machine needs ten seconds for one that can.
      ...(kind === 'Deployment'
        ? { progressDeadlineSeconds: 30 }
        : { serviceName: name, podManagementPolicy: 'Parallel' }),
      template: {
        metadata: { labels },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 1,
          containers: [{ name, image: '{{ .Values.global.image }}', securityContext: restricted }],
        },
      },
    },
  };
}

function service(name: string): Templated {
  const ports = [{ name: 'http', port: 8080 }];
  const selector = { 'app.kubernetes.io/name': name };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector, ports } };
}

/** The stand-in kind. Another description is another version of the CRD. */
export function standInKind(description: string): Templated {
  const schema = { openAPIV3Schema: { type: 'object', description, 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `things.${STANDIN_GROUP}`, annotations: { 'helm.sh/resource-policy': 'keep' } },
    spec: {
      group: STANDIN_GROUP,
      scope: 'Namespaced',
      names: { kind: 'Thing', plural: 'things', singular: 'thing' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
}
