import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { messageOf, until } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { parse } from 'yaml';
import type { KubernetesObject } from '../backends/render.ts';
import { ENVIRONMENTS } from '../model/types.ts';
import { HOLDS_DATA, HOLDS_NOTHING } from './objects.ts';
import { ackObjects, richModel } from './testing.ts';

/** CustomResourceDefinitions as the ACK project publishes them. They are not part of this repository. */
const SCHEMAS = process.env['MERCATO_SCHEMAS'] ?? join(import.meta.dirname, '../../../../shared/schemas/crds');

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
}

/** The definitions of the kinds that are made here; none when the folder is not there. */
function definitions(): Definition[] {
  if (!existsSync(SCHEMAS)) return [];
  const kinds = new Set([...HOLDS_DATA, ...HOLDS_NOTHING]);
  return readdirSync(SCHEMAS)
    .filter((file) => file.includes('services.k8s.aws'))
    .map((file) => parse(readFileSync(join(SCHEMAS, file), 'utf8')) as Definition)
    .filter(({ spec }) => kinds.has(spec.names.kind));
}

/** What an object of another version, or with a field more or less, would not be. */
const meant = ({ apiVersion, kind, metadata, spec }: KubernetesObject) => ({
  apiVersion,
  kind,
  metadata: {
    name: metadata.name,
    labels: metadata['labels'],
    annotations: metadata['annotations'],
  },
  spec,
});

const everywhere = ENVIRONMENTS.flatMap((environment) => [
  { environment, variant: '', objects: ackObjects(richModel, environment) },
  {
    environment,
    variant: ' with IRSA, queues of commands, and keys that are there already',
    objects: ackObjects(
      richModel,
      environment,
      {
        identity: 'irsa',
        oidcProvider: 'oidc.eks.eu-west-1.amazonaws.com/id/A',
        commandQueues: environment !== 'kind',
      },
      { keyIds: { shop: '1234abcd-12ab-34cd-56ef-1234567890ab' } },
    ),
  },
]);

describe('ACK’s own definitions', () => {
  const found = definitions();
  let plane: ControlPlane;
  let namespace: string;
  const pathOf = ({ apiVersion, kind }: KubernetesObject): string => {
    const plural = found.find(({ spec }) => spec.names.kind === kind && apiVersion.startsWith(`${spec.group}/`))?.spec
      .names.plural;
    return `/apis/${apiVersion}/namespaces/${namespace}/${plural}`;
  };

  it('are those that the objects name', () => {
    const named = everywhere.flatMap(({ objects }) => objects).map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);
    expect(named).not.to.be.empty;
    if (found.length === 0) {
      process.stdout.write(
        `    not validated against ACK's CustomResourceDefinitions: ${SCHEMAS} is not there (MERCATO_SCHEMAS names another folder)\n`,
      );
      return;
    }
    const served = found.map(({ spec }) => `${spec.group}/${spec.versions[0]?.name} ${spec.names.kind}`);
    expect(served).to.include.members([...new Set(named)]);
  });

  // Without the definitions there is nothing to ask, and the test above has said so.
  if (found.length === 0) return;

  before(async function () {
    this.timeout(180_000);
    plane = await sharedControlPlane();
    for (const definition of found) {
      const answer = await plane.request(
        `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${definition.metadata.name}?fieldManager=aws-test&force=true`,
        { method: 'PATCH', contentType: 'application/apply-patch+yaml', body: definition },
      );
      if (answer.status >= 300) throw new Error(`${definition.metadata.name}: ${messageOf(answer)}`);
    }
    for (const { spec } of found)
      await until(`${spec.names.kind} is served`, async () => {
        const answer = await plane.request(`/apis/${spec.group}/${spec.versions[0]?.name}/${spec.names.plural}`);
        return answer.status === 200;
      });
    namespace = await uniqueNamespace(plane, 'aws');
  });

  const create = (object: KubernetesObject, fieldValidation = 'Strict') =>
    plane.request(`${pathOf(object)}?dryRun=All&fieldValidation=${fieldValidation}`, {
      method: 'POST',
      body: { ...object, metadata: { ...object.metadata, namespace } },
    });

  for (const { environment, variant, objects } of everywhere)
    if (objects.length > 0)
      it(`take all of ${environment}${variant}, and drop nothing`, async function () {
        this.timeout(120_000);
        for (const object of objects) {
          const answer = await create(object);
          expect(answer.status, `${object.kind} ${object.metadata.name}: ${messageOf(answer)}`).to.equal(201);
          expect(meant(answer.body as KubernetesObject)).to.deep.equal(meant(object));
        }
      });

  it('refuse a field that they have not got, and drop it where they are not asked to be strict', async () => {
    const queue = everywhere.flatMap(({ objects }) => objects).find(({ kind }) => kind === 'Queue') as KubernetesObject;
    const wrong = { ...queue, spec: { ...(queue['spec'] as object), visibilityTimeOut: '30' } };
    const refused = await create(wrong);
    expect(refused.status).to.equal(400);
    expect(messageOf(refused)).to.include('unknown field "spec.visibilityTimeOut"');
    const dropped = await create(wrong, 'Ignore');
    expect(dropped.status).to.equal(201);
    expect(meant(dropped.body as KubernetesObject)).not.to.deep.equal(meant(wrong));
    expect(meant(dropped.body as KubernetesObject)).to.deep.equal(meant(queue));
  });

  it('refuse a value of the wrong type', async () => {
    const queue = everywhere.flatMap(({ objects }) => objects).find(({ kind }) => kind === 'Queue') as KubernetesObject;
    const refused = await create({ ...queue, spec: { ...(queue['spec'] as object), visibilityTimeout: 30 } });
    expect(refused.status).to.equal(422);
  });
});
