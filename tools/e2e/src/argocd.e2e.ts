import { applicationSet, inCluster } from '@mercato/cdk8s/argocd/appset.ts';
import { argocdConfigMap } from '@mercato/cdk8s/argocd/configmap.ts';
import { CASES, type Case } from '@mercato/cdk8s/argocd/health.cases.ts';
import { ACK_KINDS, healthChecks } from '@mercato/cdk8s/argocd/health.ts';
import { INSTALLATION } from '@mercato/cdk8s/argocd/installation.ts';
import { projects } from '@mercato/cdk8s/argocd/project.ts';
import type { Installation, Manifest } from '@mercato/cdk8s/argocd/types.ts';
import { clusterToolPath } from '@mercato/images/builders/find.ts';
import { run } from '@mercato/images/run.ts';
import { GROUP, kinds } from '@mercato/operator/api/index.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { expect } from 'chai';
import { ARGOCD, EnvironmentWatch, isDone, removeProjects, type Seen } from './argocd/applications.ts';
import { ApplicationSetController, argocdProgram } from './argocd/applicationsets.ts';
import { ArgocdHealth } from './argocd/health.ts';
import { realShop } from './argocd/realshop.ts';
import { type Change, Repository } from './argocd/repository.ts';
import { type Shop, standInShop } from './argocd/shop.ts';
import { clientOf, findCluster, ROOT } from './cluster.ts';
import { needs } from './needs.ts';
import { Objects, until } from './objects.ts';

/** A kind that each health script judges. */
const JUDGED: Readonly<Record<string, { readonly group: string; readonly kind: string }>> = {
  application: { group: 'argoproj.io', kind: 'Application' },
  ack: ACK_KINDS[0]!,
  ...Object.fromEntries(kinds.map(({ kind }) => [kind.toLowerCase(), { group: GROUP, kind }])),
};

/** How long Argo CD may take for one thing on a busy machine; it takes seconds. */
const PATIENCE_MS = 180_000;

/** What the repository's charts do not have: something that changes with every commit that wants it to. */
const MARKER = 'charts/inventory/templates/marker.yaml';
const marker = (note: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: marker\ndata:\n  note: ${JSON.stringify(note)}\n`;

/**
 * The app of apps under Argo CD's own controllers, from a repository on this machine's disk. Needs the cluster of a machine without Docker: elsewhere Argo
 * CD's repository server does not see this disk.
 */
describe('Mercato under Argo CD', function () {
  this.timeout(400_000);
  this.bail(true);

  let program: string;
  let client: KubeClient;
  let objects: Objects;
  let repository: Repository;
  let shop: Shop;
  let installation: Installation;
  let environment: EnvironmentWatch;
  let controller: ApplicationSetController | undefined;

  before(async function () {
    this.timeout(1_800_000);
    const cluster = await findCluster(say).catch(() => undefined);
    const tool = cluster?.provider === 'tool' ? clusterToolPath(ROOT) : undefined;
    needs(this, tool !== undefined, 'Argo CD that reads repositories on this disk, as on a machine without Docker');
    if (cluster === undefined || tool === undefined) return;
    // Four seconds, and four minutes where it was never built. It waits for kinds whose status may not be there yet, fails then, and works when repeated.
    const start = () => run(tool, ['argocd', 'up'], { timeoutMs: 900_000 });
    await start().catch(start).catch(start);
    program = argocdProgram();
    client = clientOf(cluster);
    objects = new Objects(client);
    shop = (await isTaken()) ? await standInShop(client) : await realShop(cluster, client, say);
    say(`${shop.name}, on ${cluster.name}`);
    repository = await Repository.create();
    installation = { ...INSTALLATION, repoURL: repository.url, namespaces: shop.namespaces };
    await repository.commit('Begin', { ...shop.files(installation), [MARKER]: marker('one') });
    environment = new EnvironmentWatch(client, 'mercato-kind-in-cluster');
    await objects.apply(argocdConfigMap(installation, healthChecks(kinds)));
    await objects.applyAll(projects(installation));
    controller = new ApplicationSetController(program, cluster.kubeconfig);
  });

  after(async () => {
    if (installation === undefined) return;
    await controller?.end();
    await objects.removeAll([applicationSet(installation, ['kind']), inCluster('kind', installation)]);
    await objects.removeAll([root()]);
    await shop.remove(objects);
    await removeProjects(
      client,
      projects(installation).map(({ metadata }) => metadata.name),
    );
    // Keys that are no longer applied go; the others were never ours.
    await objects.apply(argocdConfigMap(installation, new Map()));
    await repository.remove();
    await client.transport.close();
  });

  const say = (line: string) => void process.stdout.write(`      ${line.trim()}\n`);

  /** Whether someone else uses the cluster for Mercato: then charts that do nothing are installed, in namespaces of their own. */
  const isTaken = async () => {
    if (process.env['ARGOCD_E2E_CHARTS'] === 'stand-ins') return true;
    const name = INSTALLATION.namespaces.system;
    return (await objects.find({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })) !== undefined;
  };

  const root = (): Manifest => ({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name: environment.root, namespace: ARGOCD },
  });

  const find = <T extends KubeObject>(kind: string, name: string, namespace: string, apiVersion = 'v1') =>
    objects.find<T>({ apiVersion, kind, metadata: { name, namespace } });

  const note = async () => {
    const found = await find<KubeObject & { data?: { note?: string } }>('ConfigMap', 'marker', shop.namespaces.shop);
    return found?.data?.note;
  };

  const show = (children: readonly Seen[]) =>
    children.map(({ name, ...rest }) => `${name} ${JSON.stringify(rest)}`).join('\n');

  /** Waits until a commit is installed in every part and works. */
  const installed = async (commit: string, timeoutMs = shop.timeoutMs): Promise<readonly Seen[]> => {
    let children: readonly Seen[] = [];
    await until(
      `every chart is installed from ${commit}`,
      timeoutMs,
      async () => {
        children = await environment.children();
        return children.length === shop.charts.length && children.every((child) => isDone(child, commit));
      },
      async () => `${show(children)}\n${show([(await environment.self())!])}\n${controller?.log}`,
    );
    return children;
  };

  const commit = async (message: string, change: Change): Promise<string> => {
    const made = await repository.commit(message, change);
    await environment.refresh();
    return made;
  };

  /** No part was told to install a commit before every part of the waves before it had it, and worked. */
  const expectWaves = (children: readonly Seen[], of: string) => {
    for (const { name, wave } of children) {
      const earlier = children.filter((other) => other.wave < wave).map((other) => other.name);
      expect(environment.doneBefore(name, of), name).to.include.members(earlier);
    }
  };

  it('judges health as the unit tests do, by the Lua that Argo CD itself has', async () => {
    const judged = await ArgocdHealth.with(program, argocdConfigMap(installation, healthChecks(kinds)));
    try {
      for (const [script, cases] of Object.entries(CASES)) {
        for (const each of cases as readonly Case[]) {
          const said = await judged.judge(JUDGED[script]!, each);
          expect(said, `${script} ${each.it}`)
            .to.match(new RegExp(`^${each.is}: `))
            .and.include(each.says ?? '');
        }
      }
    } finally {
      await judged.remove();
    }
  });

  it('makes the environment of a cluster that is labelled as one, and installs it wave by wave', async () => {
    const first = await repository.head();
    let children: readonly Seen[] = [];
    await shop.installing(async () => {
      await objects.apply(inCluster('kind', installation));
      await objects.apply(applicationSet(installation, ['kind']));
      const isMade = async () => (await environment.self()) !== undefined;
      await until('the ApplicationSet makes the environment', PATIENCE_MS, isMade, () => controller?.log ?? '');
      children = await installed(first);
    });
    expect(children.map(({ name }) => name)).to.have.members(shop.charts.map((chart) => environment.nameOf(chart)));
    expectWaves(children, first);
    expect(await note()).to.equal('one');
  });

  it('enforces Pod Security in the namespaces that it makes', async () => {
    for (const name of Object.values(shop.namespaces)) {
      const found = await objects.find({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      expect(found?.metadata.labels, name).to.include({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    }
  });

  it('takes a change in Git through the same waves', async () => {
    const second = await commit('Say two', { [MARKER]: marker('two') });
    const children = await installed(second);
    expectWaves(children, second);
    expect(await note()).to.equal('two');
  });

  it('puts drift back, and makes again what was deleted', async () => {
    const place = { name: 'marker', namespace: shop.namespaces.shop };
    const configMaps = await objects.resourceOf({ apiVersion: 'v1', kind: 'ConfigMap' });
    const drift = { data: { note: 'drift' } } as object;
    await client.patch(configMaps, place, drift);
    const before = await find('Service', 'inventory', shop.namespaces.shop);
    await objects.remove({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'inventory', namespace: place.namespace },
    });
    await until('the drift is put back', PATIENCE_MS, async () => (await note()) === 'two');
    await until('the Service is there again', PATIENCE_MS, async () => {
      const now = await find('Service', 'inventory', shop.namespaces.shop);
      return now !== undefined && now.metadata.uid !== before?.metadata.uid;
    });
  });

  it('upgrades kinds under objects of them, which go on', async () => {
    await shop.upgradeKinds(async (change) => {
      const upgrade = await commit('Upgrade the kinds', change);
      await installed(upgrade);
    }, objects);
  });

  it('stops a broken change at its wave, and takes the revert of it', async () => {
    const good = await installed(await repository.head());
    const broken = await commit('Break the operator', { ...shop.breakOperator(), [MARKER]: marker('never') });
    const operator = environment.nameOf('mercato-operator');
    let children: readonly Seen[] = [];
    await until(
      'the operator is Degraded and the sync has failed there',
      PATIENCE_MS,
      async () => {
        children = await environment.children();
        const self = await environment.self();
        const degraded = children.some(({ name, health }) => name === operator && health === 'Degraded');
        return degraded && self !== undefined && self.health === 'Degraded' && /Retrying/.test(self.message);
      },
      async () => `${show(children)}\n${show([(await environment.self())!])}`,
    );
    const later = good.filter(({ wave }) => wave > -20).map(({ name }) => name);
    for (const name of later)
      expect(environment.doneBefore(name, broken), `${name} must not begin`).to.equal(undefined);
    expect(await note()).to.equal('two');

    const reverted = await repository.revert();
    await environment.refresh();
    expectWaves(await installed(reverted), reverted);
    expect(await note()).to.equal('two');
  });

  it('prunes what Git no longer has: an object, and a chart with all that it made', async () => {
    const { simulators } = shop.namespaces;
    expect(await find('Service', 'carrier', simulators), 'before').not.to.equal(undefined);
    await commit('Do without the carrier', { [MARKER]: undefined, 'argocd/kind/templates/carrier.yaml': undefined });
    await until(
      'the carrier is gone',
      PATIENCE_MS,
      async () => (await find('Service', 'carrier', simulators)) === undefined,
    );
    await until('the marker is gone', PATIENCE_MS, async () => (await note()) === undefined);
    await until('its Application is gone', PATIENCE_MS, async () => {
      const names = (await environment.children()).map(({ name }) => name);
      return !names.includes(environment.nameOf('carrier'));
    });
  });

  it('keeps the kinds and their objects when the environment is taken down', async () => {
    controller = await controller?.end().then(() => undefined);
    await shop.drain(objects);
    await objects.removeAll([applicationSet(installation, ['kind'])]);
    expect(await environment.self(), 'the ApplicationSet takes nothing down').not.to.equal(undefined);
    await objects.removeAll([root()]);
    await until('nothing of it runs', PATIENCE_MS, async () => (await environment.children()).length <= 1);
    expect(await find('Service', 'inventory', shop.namespaces.shop)).to.equal(undefined);
    await shop.expectKinds(objects);
  });
});
