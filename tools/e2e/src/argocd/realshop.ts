import { partsOf } from '@mercato/cdk8s/argocd/applications.ts';
import { argocdFiles } from '@mercato/cdk8s/argocd/generate.ts';
import { INSTALLATION } from '@mercato/cdk8s/argocd/installation.ts';
import { generatedFiles } from '@mercato/cdk8s/main.ts';
import { mercato } from '@mercato/cdk8s/model/mercato.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { customResourceDefinitions } from '@mercato/operator/kube/resource.ts';
import { expect } from 'chai';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { type Capabilities, capabilitiesOf } from '../capabilities.ts';
import type { Cluster } from '../cluster.ts';
import { type Images, imageIn, imagesFor, merge, prepareNodes, undeploy, valuesFor, withVolumes } from '../deploy.ts';
import { until } from '../objects.ts';
import { PLAYER_NAMESPACE, playerValues, startPlay } from '../player.ts';
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
      await until('runs are in flight', 60_000, async () => (await open()) > 0);
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
    async remove(objects) {
      await undeploy(options);
      await objects.removeAll([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: PLAYER_NAMESPACE } }]);
    },
  };
}

/** Values by chart; `global` is those of all. */
function valuesOf(able: Capabilities, images: Images): Map<string, Record<string, unknown>> {
  const { global, ...charts } = merge(valuesFor(able, images), playerValues());
  return new Map([['global', { global }], ...Object.entries(charts as Record<string, Record<string, unknown>>)]);
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
