import { desired, NAMESPACE_NAME } from '@mercato/boundary/policy/desired.ts';
import type { Boundary, NetworkPolicy } from '@mercato/boundary/policy/types.ts';
import { strangers } from '@mercato/boundary/reach/matrix.ts';
import { OUTSIDE, type Outside, type Workload } from '@mercato/boundary/reach/types.ts';
import { overridesOf } from '../backends/environments.ts';
import { objectsOf } from '../backends/manifests.ts';
import type { KubernetesObject } from '../backends/render.ts';
import { merge, type Overrides } from '../backends/values.ts';
import { packagesOf } from '../charts/index.ts';
import { environments } from '../model/environments.ts';
import type { Environment, Model } from '../model/types.ts';

/** What decides who reaches whom in an installation. */
export interface Network {
  /** The model's services, and whom else the policies name: cluster DNS, Prometheus. */
  readonly workloads: readonly Workload[];
  /** One pod of no service in each namespace, and in one that is not ours. */
  readonly strangers: readonly Workload[];
  /** The charts' policies, and those that the boundary's controller makes of its object. */
  readonly policies: readonly NetworkPolicy[];
  readonly outside: readonly Outside[];
}

/** An address of the API server, as the default values have it. */
const API_SERVER: Outside = { name: 'API server', address: '10.96.0.1' };

const NAME = 'app.kubernetes.io/name';

/**
 * The network of the umbrella chart in an environment, with its default values.
 * @param global laid over the environment's. @default nothing
 */
export function networkOf(model: Model, environment: Environment, global: Overrides = {}): Network {
  const umbrella = packagesOf(model).find(({ definition }) => definition.name === 'mercato');
  if (umbrella === undefined) throw new Error('there is no umbrella chart');
  const given = overridesOf(umbrella, environments[environment]);
  const objects = objectsOf(umbrella, merge(given, { global }) as Overrides);
  const of = (kind: string) => objects.filter((object) => object.kind === kind);
  const namespaces = new Map(of('Namespace').map(({ metadata }) => [metadata.name, labelsOf(metadata)]));
  const services = [...of('Deployment'), ...of('StatefulSet')].map((object) => workloadOf(object, namespaces));
  const monitored = of('ServiceMonitor').length > 0;
  const places = [...new Set(services.map(({ namespace }) => namespace))].sort();
  return {
    workloads: [...services, ...(monitored ? [PROMETHEUS] : []), DNS].map(inItsNamespace),
    strangers: strangers([...places, 'default']).map(inItsNamespace),
    policies: [
      ...of('NetworkPolicy'),
      ...of('PciBoundary').flatMap((each) => desired(each as unknown as Boundary)),
    ] as NetworkPolicy[],
    outside: [...OUTSIDE, API_SERVER],
  };
}

/** The label that the API server gives every namespace. */
const inItsNamespace = (workload: Workload): Workload => ({
  ...workload,
  namespaceLabels: { ...workload.namespaceLabels, [NAMESPACE_NAME]: workload.namespace },
});

const DNS: Workload = {
  namespace: 'kube-system',
  name: 'kube-dns',
  labels: { 'k8s-app': 'kube-dns' },
  namespaceLabels: {},
  ports: [{ port: 53, protocol: 'UDP' }, { port: 53 }],
};

const PROMETHEUS: Workload = {
  namespace: 'monitoring',
  name: 'prometheus',
  labels: { [NAME]: 'prometheus' },
  namespaceLabels: {},
  ports: [{ port: 9090 }],
};

interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly { readonly ports?: readonly { name: string; containerPort: number }[] }[];
  };
}

function workloadOf(object: KubernetesObject, namespaces: ReadonlyMap<string, Workload['labels']>): Workload {
  const { template } = object['spec'] as { readonly template: Template };
  const { name, namespace = '' } = object.metadata;
  return {
    namespace,
    name,
    labels: template.metadata.labels,
    namespaceLabels: namespaces.get(namespace) ?? {},
    ports: template.spec.containers.flatMap(({ ports = [] }) =>
      ports.map((port) => ({ name: port.name, port: port.containerPort })),
    ),
  };
}

const labelsOf = (metadata: KubernetesObject['metadata']): Workload['labels'] =>
  (metadata['labels'] ?? {}) as Workload['labels'];
