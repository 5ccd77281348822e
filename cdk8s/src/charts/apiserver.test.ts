import { sharedControlPlane } from '@mercato/controlplane/testing.ts';
import { messageOf } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import type { KubernetesObject } from '../backends/render.ts';
import type { Overrides } from '../backends/values.ts';
import { search, withSearch } from '../testing/added.ts';
import { ApiServer, SCHEMAS, schemaFiles } from '../testing/apiserver.ts';
import { at, missing, ofKind, type PodTemplate, podTemplateOf, rendered } from '../testing/rendered.ts';

/** The definitions of others' kinds that a service's chart uses. ACK's are in aws/crds.test.ts. */
const DEFINITIONS = schemaFiles(
  'keda.sh_',
  'monitoring.coreos.com_servicemonitors',
  'monitoring.coreos.com_prometheusrules',
);
const OTHERS = ['keda.sh/', 'monitoring.coreos.com/'];
const isAcks = ({ apiVersion }: KubernetesObject) => apiVersion.includes('.services.k8s.aws/');
const isKnown = ({ apiVersion }: KubernetesObject) =>
  DEFINITIONS.length > 0 || !OTHERS.some((group) => apiVersion.startsWith(group));

const VARIANTS: Readonly<Record<string, object>> = {
  'by default': {},
  'with Prometheus, AWS and Pod Identity': {
    monitoring: { enabled: true },
    aws: { enabled: true, identity: 'pod-identity' },
  },
  'with KEDA, IRSA, the bus and traces': {
    autoscaler: 'keda',
    tracing: { enabled: true },
    aws: { enabled: true, eventBus: true, identity: 'irsa', oidcProvider: 'oidc.eks.eu-west-1.amazonaws.com/id/A' },
  },
};

/** Every value that puts something of an installation's own into a pod. */
const FILLED: Overrides = {
  podAnnotations: { 'example.com/a': 'b' },
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ key: 'dedicated', operator: 'Exists' }],
  extraEnv: [{ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
};

describe('the API server', function () {
  this.timeout(120_000);
  let server: ApiServer;
  const objectsOf = (name: string, global: object = {}, overrides: Overrides = {}) =>
    rendered(withSearch, name, { ...overrides, global: { ...global, namespaces: server.namespaces } });

  before(async () => {
    if (DEFINITIONS.length === 0)
      process.stdout.write(`    kinds of KEDA and Prometheus are not validated: ${SCHEMAS} is not there\n`);
    server = await ApiServer.prepare(await sharedControlPlane());
    await server.define(DEFINITIONS);
    for (const { name } of withSearch.services)
      for (const account of ofKind(objectsOf(name), 'ServiceAccount')) {
        const answer = await server.create(account, { dryRun: false });
        expect(answer.status, messageOf(answer)).to.equal(201);
      }
  });

  for (const { name } of withSearch.services) {
    for (const [variant, global] of Object.entries(VARIANTS))
      it(`takes all of ${name} ${variant}, and drops nothing`, async () => {
        for (const object of objectsOf(name, global, FILLED).filter((each) => !isAcks(each) && isKnown(each))) {
          const what = `${object.kind} ${object.metadata.name}`;
          if (object.kind === 'ServiceAccount') continue;
          const answer = await server.create(object);
          expect(answer.status, `${what}: ${messageOf(answer)}`).to.equal(201);
          const dropped = missing(object, answer.body).filter((path) => !isVoid(at(object, path)));
          expect(dropped, what).to.be.empty;
        }
      });

    it(`starts pods of ${name} under Pod Security "restricted"`, async () => {
      const answer = await server.create(podOf(objectsOf(name, {}, FILLED)));
      expect(answer.status, messageOf(answer)).to.equal(201);
    });
  }

  const relaxed: Readonly<Record<string, (template: PodTemplate) => PodTemplate>> = {
    'without a seccomp profile': ({ spec, ...rest }) => ({
      ...rest,
      spec: { ...spec, securityContext: { runAsNonRoot: true } },
    }),
    'that may gain privileges': (template) => withContainer(template, { allowPrivilegeEscalation: true }),
    'that keep capabilities': (template) => withContainer(template, { capabilities: {} }),
    'as root': ({ spec, ...rest }) => ({
      ...rest,
      spec: { ...spec, securityContext: { ...(spec['securityContext'] as object), runAsUser: 0, runAsNonRoot: false } },
    }),
  };
  for (const [how, relax] of Object.entries(relaxed))
    it(`would refuse pods ${how}`, async () => {
      const answer = await server.create(podOf(objectsOf(search.name), relax));
      expect(answer.status).to.equal(403);
      expect(messageOf(answer)).to.contain('violates PodSecurity "restricted:latest"');
    });

  it('would refuse a field that a kind has not', async () => {
    const [service] = ofKind(objectsOf(search.name), 'Service');
    const misspelt = {
      ...(service as KubernetesObject),
      spec: { ...(service?.['spec'] as object), trafficDistributon: 'x' },
    };
    const answer = await server.create(misspelt);
    expect(answer.status).to.equal(400);
    expect(messageOf(answer)).to.contain('unknown field "spec.trafficDistributon"');
  });
});

/** What is as good as absent. */
const isVoid = (value: unknown): boolean =>
  value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

/** A pod of the template, as its Deployment or StatefulSet makes it: with the claim's volume. */
function podOf(objects: readonly KubernetesObject[], change = (template: PodTemplate) => template): KubernetesObject {
  const { metadata, spec } = change(podTemplateOf(objects));
  const owner = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  const data = { name: 'data', persistentVolumeClaim: { claimName: 'data-0' } };
  const claims = owner?.kind === 'StatefulSet' ? [data] : [];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: 'pod', namespace: owner?.metadata.namespace ?? '' },
    spec: { ...spec, volumes: [...(spec['volumes'] as object[]), ...claims] },
  };
}

function withContainer({ spec, ...rest }: PodTemplate, securityContext: object): PodTemplate {
  const containers = spec.containers.map((container) => ({
    ...container,
    securityContext: { ...(container['securityContext'] as object), ...securityContext },
  }));
  return { ...rest, spec: { ...spec, containers } };
}
