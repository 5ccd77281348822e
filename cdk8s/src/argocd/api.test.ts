import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { mercato } from '../model/mercato.ts';
import { ENVIRONMENTS } from '../model/types.ts';
import { childApplication, environmentApplication, partsOf } from './applications.ts';
import { applicationSet, inCluster } from './appset.ts';
import { argocdConfigMap } from './configmap.ts';
import { healthScript } from './health.ts';
import { INSTALLATION } from './installation.ts';
import { projects } from './project.ts';
import { ARGO_API_VERSION, type Installation, type Manifest } from './types.ts';

/** Argo CD's own CRDs are not copied into this project. */
const CRDS =
  process.env['MERCATO_SCHEMAS'] ?? fileURLToPath(new URL('../../../../shared/schemas/crds', import.meta.url));
const FILES = ['application', 'applicationset', 'appproject'].map((kind) => join(CRDS, `argoproj.io_${kind}.yaml`));

/** The API server begins to serve a kind a moment after it took its definition. */
async function served(plane: ControlPlane, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { status, body } = await plane.request(`/apis/${ARGO_API_VERSION}`);
    const kinds = status === 200 ? (body as { resources: { kind: string }[] }).resources : [];
    if (['Application', 'ApplicationSet', 'AppProject'].every((kind) => kinds.some((each) => each.kind === kind)))
      return;
    if (performance.now() > deadline) throw new Error(`not served after ${timeoutMs} ms: ${JSON.stringify(body)}`);
    await delay(50);
  }
}

if (FILES.every(existsSync)) {
  describe('the API server with the CRDs of Argo CD', function () {
    this.timeout(120_000);
    let plane: ControlPlane;
    let installation: Installation;

    before(async () => {
      plane = await sharedControlPlane();
      await plane.kubectl(['apply', '--server-side', ...FILES.map((file) => `--filename=${file}`)]);
      await served(plane, 60_000);
      installation = { ...INSTALLATION, argocdNamespace: await uniqueNamespace(plane, 'argocd') };
    });

    /** Strict: a field that the kind does not have is an error, and not dropped. */
    const create = (object: object) =>
      plane.kubectl(
        ['create', '--dry-run=server', '--validate=strict', '--output=json', '--filename=-'],
        JSON.stringify(object),
      );

    const takes = async (object: Manifest) => {
      const stored = JSON.parse(await create(object)) as { spec?: unknown };
      if (object['spec'] !== undefined) expect(stored.spec, 'nothing is dropped').to.deep.equal(object['spec']);
    };

    it('takes the projects, the ApplicationSet, the ConfigMap and the clusters', async () => {
      for (const project of projects(installation)) await takes(project);
      await takes(argocdConfigMap(installation, new Map([['mercato.dev_OrderSaga', healthScript('ordersaga')]])));
      for (const environment of ENVIRONMENTS) await takes(inCluster(environment, installation));
      await create(applicationSet(installation, ENVIRONMENTS));
    });

    it('takes every Application of every environment', async () => {
      const server = 'https://kubernetes.default.svc';
      const inherited = { name: 'mercato-x', repoURL: installation.repoURL, revision: 'c1', server };
      for (const environment of ENVIRONMENTS) {
        const place = { name: 'mercato-x', environment, server };
        await takes({
          apiVersion: ARGO_API_VERSION,
          kind: 'Application',
          ...environmentApplication(place, installation),
        });
        for (const part of partsOf(environment, mercato.services))
          await takes(childApplication(part, environment, inherited, installation));
      }
    });

    it('refuses a field that Argo CD does not know, so that the above can fail', async () => {
      const [project] = projects(installation);
      const mistyped = { ...project, spec: { ...(project?.['spec'] as object), sourceRepo: ['x'] } };
      const error = await create(mistyped).then(
        () => expect.fail('it was taken'),
        (reason: Error) => reason,
      );
      expect(error.message).to.include('unknown field "spec.sourceRepo"');
    });
  });
}
