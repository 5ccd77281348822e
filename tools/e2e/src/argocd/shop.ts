import { CRDS_CHART, partsOf, SHOP_CHART } from '@mercato/cdk8s/argocd/applications.ts';
import { argocdFiles } from '@mercato/cdk8s/argocd/generate.ts';
import type { Deployable, Installation } from '@mercato/cdk8s/argocd/types.ts';
import { namespaceLabels } from '@mercato/cdk8s/constructs/namespace.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { nodes } from '../kube.ts';
import type { Objects } from '../objects.ts';
import type { Change } from './repository.ts';
import { STANDIN_GROUP, type StandIn, standInFiles, standInKind } from './standins.ts';

/** What is installed from the repository, and what the tests do to it. */
export interface Shop {
  /** What it is, for people. */
  readonly name: string;
  /** How long an installation of all charts may take. */
  readonly timeoutMs: number;
  readonly namespaces: Installation['namespaces'];
  readonly charts: readonly string[];
  /** The repository's files. */
  files(installation: Installation): Record<string, string>;
  /** Does what has the charts installed for the first time, and gives the cluster what they need meanwhile. */
  installing(work: () => Promise<void>): Promise<void>;
  /** A commit after which the operator's pod cannot start. */
  breakOperator(): Change;
  /** Has objects of its kinds, commits a new version of those, and checks that the objects go on. */
  upgradeKinds(commit: (change: Change) => Promise<void>, objects: Objects): Promise<void>;
  /** Brings runs to an end, as has to be done before the operator goes. */
  drain(objects: Objects): Promise<void>;
  /** Checks that the kinds and the objects of the last step are still there. */
  expectKinds(objects: Objects): Promise<void>;
  /** Removes what Argo CD leaves: kinds and namespaces. */
  remove(objects: Objects): Promise<void>;
}

const NAMESPACES: Installation['namespaces'] = {
  system: 'argocd-e2e-system',
  shop: 'argocd-e2e-shop',
  card: 'argocd-e2e-card',
  boundary: 'argocd-e2e-boundary',
  simulators: 'argocd-e2e-simulators',
};

const SERVICES: readonly Deployable[] = [
  { name: 'mercato-operator', component: 'controller', zone: 'system' },
  { name: 'mercato-boundary', component: 'controller', zone: 'boundary' },
  { name: 'carrier', component: 'simulator', zone: 'simulators' },
  { name: 'inventory', component: 'service', zone: 'shop' },
  { name: 'order', component: 'service', zone: 'shop' },
  { name: 'payment', component: 'service', zone: 'card' },
  { name: 'shipping', component: 'service', zone: 'shop' },
];

const cardNamespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: NAMESPACES.card,
    labels: namespaceLabels('card'),
    annotations: { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false' },
  },
};

const thing = {
  apiVersion: `${STANDIN_GROUP}/v1`,
  kind: 'Thing',
  metadata: { name: 'first', namespace: NAMESPACES.system },
};

/**
 * A shop of charts that do nothing, in namespaces and with a kind of its own, so that it disturbs nobody else on the cluster. What it needs is an image that runs
 * and does nothing: the one that the node's pods are made of.
 */
export async function standInShop(client: KubeClient): Promise<Shop> {
  const image = await pauseImage(client);
  const standIns = SERVICES.map(
    ({ name, component }): StandIn => ({
      name,
      workload: component === 'service' ? 'StatefulSet' : 'Deployment',
      // As the real one does, since nothing may run there before it is closed.
      objects: name === 'mercato-boundary' ? [cardNamespace] : [],
    }),
  );
  const others: readonly StandIn[] = [
    { name: CRDS_CHART, objects: [standInKind('a thing')] },
    { name: SHOP_CHART, objects: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'sagas' } }] },
  ];
  let uid: string | undefined;
  const expectKinds = async (objects: Objects) => {
    expect((await objects.find(thing))?.metadata.uid, 'the same object as before').to.equal(uid);
  };
  return {
    name: 'stand-in charts',
    timeoutMs: 180_000,
    namespaces: NAMESPACES,
    charts: partsOf('kind', SERVICES).map(({ chart }) => chart),
    files: (installation) => ({
      ...Object.fromEntries(
        [...argocdFiles(installation, SERVICES)].filter(([path]) => path.startsWith('argocd/kind/')),
      ),
      ...standInFiles([...others, ...standIns], image),
    }),
    installing: (work) => work(),
    breakOperator: () => ({
      'environments/kind/mercato-operator.yaml': stringify({ global: { image: 'localhost/nothing:here' } }),
    }),
    async upgradeKinds(commit, objects) {
      await objects.apply(thing);
      uid = (await objects.find(thing))?.metadata.uid;
      await commit({
        [`charts/${CRDS_CHART}/templates/customresourcedefinition.yaml`]: stringify(standInKind('more')),
      });
      const kind = await objects.find<never>(standInKind('') as never);
      expect(JSON.stringify(kind)).to.include('"description":"more"');
      await expectKinds(objects);
    },
    drain: async () => {},
    expectKinds,
    async remove(objects) {
      const named = Object.values(NAMESPACES).map((name) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name },
      }));
      await objects.removeAll([standInKind('') as never, ...named]);
    },
  };
}

async function pauseImage(client: KubeClient): Promise<string> {
  const { items } = await client.list(nodes);
  const images = items.flatMap(({ status }) => (status as { images?: { names: string[] }[] }).images ?? []);
  const found = images.flatMap(({ names }) => names).find((name) => /\/pause:[^@]+$/.test(name));
  if (found === undefined) throw new Error('no node has an image named "pause", which the stand-in charts run');
  return found;
}
