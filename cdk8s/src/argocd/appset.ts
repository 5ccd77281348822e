import type { Environment } from '../model/types.ts';
import { environmentApplication } from './applications.ts';
import { ARGO_API_VERSION, ENVIRONMENT_LABEL, type Installation, type Manifest, PART_OF_MERCATO } from './types.ts';

/**
 * Makes the Application of an environment for every cluster that Argo CD knows and that is labelled as one, so that an environment is
 * added by a label, and several clusters can be the same. A cluster that loses its label, or the loss of the ApplicationSet, takes nothing
 * down: Applications are created and updated here, and deleted by hand.
 */
export function applicationSet(installation: Installation, environments: readonly Environment[]): Manifest {
  const environment = `{{ index .metadata.labels "${ENVIRONMENT_LABEL}" }}`;
  const place = { name: `mercato-${environment}-{{ .nameNormalized }}`, environment, server: '{{ .server }}' };
  const { metadata, spec } = environmentApplication(place, installation);
  return {
    apiVersion: ARGO_API_VERSION,
    kind: 'ApplicationSet',
    metadata: { name: 'mercato', namespace: installation.argocdNamespace, labels: PART_OF_MERCATO },
    spec: {
      goTemplate: true,
      goTemplateOptions: ['missingkey=error'],
      generators: [
        {
          clusters: {
            selector: {
              matchExpressions: [{ key: ENVIRONMENT_LABEL, operator: 'In', values: environments }],
            },
          },
        },
      ],
      syncPolicy: { applicationsSync: 'create-update', preserveResourcesOnDeletion: true },
      template: { metadata, spec },
    },
  };
}

/** What makes the cluster that Argo CD itself runs in an environment. It holds no credentials: Argo CD uses its own service account. */
export function inCluster(environment: Environment, { argocdNamespace }: Installation): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: 'in-cluster',
      namespace: argocdNamespace,
      labels: { ...PART_OF_MERCATO, 'argocd.argoproj.io/secret-type': 'cluster', [ENVIRONMENT_LABEL]: environment },
    },
    type: 'Opaque',
    stringData: {
      name: 'in-cluster',
      server: 'https://kubernetes.default.svc',
      config: '{"tlsClientConfig":{"insecure":false}}',
    },
  };
}
