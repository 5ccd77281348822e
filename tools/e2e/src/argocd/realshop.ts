import { join } from 'node:path';
import { partsOf } from '@mercato/cdk8s/argocd/applications.ts';
import { argocdFiles } from '@mercato/cdk8s/argocd/generate.ts';
import { INSTALLATION } from '@mercato/cdk8s/argocd/installation.ts';
import { generatedFiles } from '@mercato/cdk8s/main.ts';
import { mercato } from '@mercato/cdk8s/model/mercato.ts';
import { ensureTool } from '@mercato/controlplane/tools.ts';
import { run } from '@mercato/images/run.ts';
import { GROUP } from '@mercato/operator/api/kind.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { customResourceDefinitions } from '@mercato/operator/kube/resource.ts';
import { expect } from 'chai';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { type Capabilities, capabilitiesOf } from '../capabilities.ts';
import { type Cluster, ROOT } from '../cluster.ts';
import {
  type Images,
  imageIn,
  imagesFor,
  merge,
  prepareNodes,
  SYSTEM_NAMESPACE,
  valuesFor,
  withVolumes,
} from '../deploy.ts';
import { jobs } from '../kube.ts';
import { type Manifest, until } from '../objects.ts';
import { logOf, PLAYER_NAMESPACE, playerValues, startPlay } from '../player.ts';
import { StaticVolumes } from '../storage.ts';
import type { Shop } from './shop.ts';

const CRDS = 'charts/mercato-crds/templates/customresourcedefinition.yaml';
const OPERATOR = 'charts/mercato-operator/templates/deployment.yaml';

/** Where what only this cluster knows is written. */
const valuesPath = (chart: string) => `installation/kind/${chart}.yaml`;

/**
 * The whole shop from its own charts. It has the cluster to itself: its kinds and its admission policies are the whole cluster's.
 */
export async function realShop(cluster: Cluster, client: KubeClient, say: (line: string) => void): Promise<Shop> {
  const able = await capabilitiesOf(client);
  const images = await imagesFor(cluster, { tag: process.env['TAG'], registry: process.env['REGISTRY'] }, say);
  const options = { cluster, client, images, say };
  const charts = partsOf('kind', mercato.services).map(({ chart }) => chart);
  const crds = generatedFiles().charts.get(CRDS.replace('charts/', '')) ?? '';
  const values = valuesOf(able, images);
  return {
    name: 'the whole shop',
    namespaces: INSTALLATION.namespaces,
    charts,
    timeoutMs: 300_000,
    files: (installation) => ({
      ...prefixed(
        '',
        [...argocdFiles(installation)].filter(([path]) => path.startsWith('argocd/kind/')),
      ),
      ...prefixed('charts/', generatedFiles().charts),
      ...prefixed('environments/', generatedFiles().environments),
      // A broken Deployment is to be Degraded in this test's time.
      [OPERATOR]: hurried(generatedFiles().charts.get(OPERATOR.replace('charts/', '')) ?? ''),
      ...Object.fromEntries([...values].map(([chart, own]) => [valuesPath(chart), stringify(own)])),
    }),
    breakOperator: () => ({
      [valuesPath('mercato-operator')]: stringify({
        ...values.get('mercato-operator'),
        image: { tag: 'there-is-no-such-version' },
      }),
    }),
    async installing(work) {
      await prepareNodes(cluster, client, able, say);
      await withVolumes(options, able, work);
    },
    async upgradeKinds(commit) {
      const day = await startPlay(cluster, client, {
        image: imageIn(images, 'tools'),
        orders: 100,
        seconds: 30,
        seed: 'argocd',
        mark: 'argocd',
      });
      const open = async () =>
        (await client.list(orderSagaRuns, { namespace: INSTALLATION.namespaces.shop })).items.filter(({ status }) =>
          ['Pending', 'Running'].includes(status?.phase ?? ''),
        ).length;
      await until('runs are in flight', 180_000, async () => (await open()) > 0);
      await commit({ [CRDS]: upgraded(crds) });
      const { spec } = await client.get(customResourceDefinitions, { name: `${orderSagaRuns.plural}.mercato.dev` });
      expect(JSON.stringify(spec)).to.include(COLUMN.name);
      const { isConserved, result, log } = await day.result();
      say(`${result.accepted} orders over an upgrade of the kinds: ${JSON.stringify(result.phases)}`);
      expect(result.violations, log.slice(-3_000)).to.deep.equal([]);
      expect(isConserved, log.slice(-3_000)).to.equal(true);
    },
    async expectKinds() {
      const { items } = await client.list(orderSagaRuns, { namespace: INSTALLATION.namespaces.shop });
      expect(items, 'runs are still there').to.have.length.greaterThan(0);
    },
    async drain(objects) {
      const hooks = await drainHooks(values);
      const [job] = hooks.filter(({ kind }) => kind === 'Job');
      if (job === undefined) throw new Error('the chart of the operator has no Job that drains');
      await objects.applyAll([...hooks.filter((hook) => hook !== job), job]);
      const isOver = async () => {
        const { status } = await client.get(jobs, { ...job.metadata, namespace: INSTALLATION.namespaces.system });
        if ((status?.failed ?? 0) > 0)
          throw new Error(await logOf(cluster, `job/${job.metadata.name}`, SYSTEM_NAMESPACE));
        return (status?.succeeded ?? 0) > 0;
      };
      await until('runs are drained', 240_000, isOver);
      await objects.removeAll(hooks);
    },
    async remove(objects) {
      await letGo(client);
      const kinds = (await client.list(customResourceDefinitions)).items.filter(({ spec }) => spec.group === GROUP);
      const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
      await objects.removeAll(kinds.map(({ metadata: { name } }) => ({ ...definition, metadata: { name } })));
      const named = [...Object.values(INSTALLATION.namespaces), PLAYER_NAMESPACE];
      await objects.removeAll(
        named.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
        180_000,
      );
      await new StaticVolumes(client, imageIn(images, 'tools')).remove();
    },
  };
}

/** Values by chart; `global` is those of all. */
function valuesOf(able: Capabilities, images: Images): Map<string, Record<string, unknown>> {
  const { global, ...charts } = merge(valuesFor(able, images), playerValues());
  return new Map([['global', { global }], ...Object.entries(charts as Record<string, Record<string, unknown>>)]);
}

/** What Helm would run before it uninstalls the operator. Argo CD runs such hooks from 3.3 on. */
async function drainHooks(values: Map<string, Record<string, unknown>>): Promise<readonly Manifest[]> {
  const helm = await ensureTool('helm');
  const chart = join(ROOT, 'charts/mercato-operator');
  const own = { ...values.get('global'), ...values.get('mercato-operator'), drain: { force: true } };
  const files = ['--values', join(ROOT, 'environments/kind/mercato-operator.yaml'), '--values', '-'];
  const only = ['--namespace', SYSTEM_NAMESPACE, '--show-only', 'templates/hooks/*.yaml'];
  const text = await run(helm, ['template', 'mercato-operator', chart, ...files, ...only], {
    input: JSON.stringify(own),
  });
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object !== null);
}

/** After a test that failed there may be no operator to let runs go; this cluster is for tests. */
async function letGo(client: KubeClient): Promise<void> {
  const { items } = await client.list(orderSagaRuns).catch(() => ({ items: [] }));
  for (const { metadata } of items) {
    if (metadata.finalizers === undefined) continue;
    const place = { namespace: metadata.namespace ?? '', name: metadata.name };
    await client.patch(orderSagaRuns, place, { metadata: { finalizers: [] } }).catch(() => {});
  }
}

function prefixed(prefix: string, files: Iterable<readonly [string, string]>): Record<string, string> {
  return Object.fromEntries([...files].map(([path, text]) => [`${prefix}${path}`, text]));
}

function hurried(deployment: string): string {
  const found = deployment.replace(/progressDeadlineSeconds: \d+/, 'progressDeadlineSeconds: 20');
  if (found === deployment) throw new Error('the Deployment of the operator has no progressDeadlineSeconds');
  return found;
}

const COLUMN = { name: 'Pivot-Sent', type: 'string', jsonPath: '.status.step', description: 'Of the next version.' };

interface Definition {
  readonly spec: {
    readonly names: { readonly kind: string };
    readonly versions: readonly [{ readonly additionalPrinterColumns: object[] }];
  };
}

/** The kinds as a next version might have them. */
function upgraded(crds: string): string {
  return parseAllDocuments(crds)
    .map((document) => parse(String(document)) as Definition)
    .map((definition) => {
      if (definition.spec.names.kind === 'OrderSagaRun')
        definition.spec.versions[0].additionalPrinterColumns.push(COLUMN);
      return stringify(definition);
    })
    .join('---\n');
}
