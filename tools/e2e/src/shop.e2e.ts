import { randomBytes } from 'node:crypto';
import type { Result } from '@mercato/demo/incluster.ts';
import type { Load } from '@mercato/demo/load/main.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { customResourceDefinitions } from '@mercato/operator/kube/resource.ts';
import { expect } from 'chai';
import { type Capabilities, describe as inWords } from './capabilities.ts';
import type { Cluster } from './cluster.ts';
import { Decisions } from './decisions.ts';
import { deploy, type Images, imageIn, merge, NAMESPACES, SYSTEM_NAMESPACE, undeploy, valuesFor } from './deploy.ts';
import { enforcesPolicies } from './enforcement.ts';
import { Killer, Rollouts } from './faults.ts';
import { Helm } from './helm.ts';
import { isTrue, type Pod, podSecurity, pods, troubleOf } from './kube.ts';
import { needs } from './needs.ts';
import { type Objects, until } from './objects.ts';
import {
  logOf,
  PLAYER_NAMESPACE,
  type Play,
  type PlayOptions,
  playerRights,
  playerValues,
  startPlay,
} from './player.ts';
import { SENDER, startLoad } from './scaling/load.ts';
import { quote, quoteChart } from './scaling/service.ts';
import { openSession, type Session } from './session.ts';

const ALL = [SYSTEM_NAMESPACE, ...NAMESPACES];
const SHOP = 'mercato-shop';
/** The operator with its journal in a file, as small as the other pods of a cluster for tests: it gets what a worker gets. */
const SQLITE = { 'mercato-operator': { journal: 'sqlite', workers: { resources: { cpu: '50m' } } } };

/** The whole shop on a real cluster, from its charts: works, is conserved whatever happens to its pods, scales, and goes without a trace. */
describe('the shop on a cluster', function () {
  this.timeout(900_000);
  this.bail(true);

  const seed = process.env['E2E_SEED'] ?? randomBytes(4).toString('hex');
  const say = (line: string) => console.log(`      ${line}`);
  let session: Session | undefined;
  let cluster: Cluster;
  let client: KubeClient;
  let objects: Objects;
  let able: Capabilities;
  let images: Images;
  let rollouts: Rollouts;
  let days = 0;

  before(async () => {
    session = await openSession();
    ({ cluster, client, objects, able, images } = session);
    say(`${cluster.name}, seed ${seed}`);
    for (const line of inWords(able)) say(line);
    rollouts = new Rollouts(client, ALL);
    await install(SQLITE);
  });

  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    for (const pod of await ours()) if (!isTrue(pod.status?.conditions, 'Ready')) say(troubleOf(pod));
    for (const namespace of ALL)
      for (const { metadata } of (await client.list(pods, { namespace })).items)
        say(`${metadata.name}:\n${(await logOf(cluster, metadata.name, namespace)).slice(-1_500)}`);
  });

  after(async function () {
    if (session === undefined) return;
    // Whoever wants to look at what failed keeps it.
    const failed = this.test?.parent?.tests.some(({ state }) => state === 'failed') ?? false;
    if (failed && process.env['E2E_KEEP'] !== undefined) say('left as it is, since E2E_KEEP is set: make undeploy');
    else await undeploy({ cluster, client, images, say });
    await session.close();
  });

  const install = (values: Readonly<Record<string, unknown>> = {}) =>
    deploy({ cluster, client, images, values: merge(playerValues(), values), say });

  /** A day of orders inside the cluster, half of them placed with the order service. What happens meanwhile is the test's. */
  const play = (orders: number, seconds: number, more: Partial<PlayOptions> = {}): Promise<Play> => {
    days += 1;
    const mark = `d${days}${seed.slice(0, 4)}`;
    return startPlay(cluster, client, {
      image: imageIn(images, 'tools'),
      orders,
      seconds,
      seed: `${seed}-${days}`,
      mark,
      ...more,
    });
  };

  const expectConserved = async (day: Play): Promise<Result> => {
    const { isConserved, result, log } = await day.result();
    say(
      `${result.accepted} orders, ${result.placed} of them placed: ${JSON.stringify(result.phases)}, p99 ${result.p99Ms?.toFixed(0)} ms`,
    );
    say(`a subscriber heard ${JSON.stringify(result.announced)}`);
    expect(result.violations, log.slice(-3_000)).to.deep.equal([]);
    expect(isConserved, log.slice(-3_000)).to.equal(true);
    // That each was told of the right one, and of nothing else, the conservation check says; here, that somebody listened.
    expect(sumOf(result.announced), 'announcements heard').to.be.at.least(result.placed);
    return result;
  };

  it('keeps runs in a file of the operator, shows the held one for a person to decide, and goes on where it was killed', async () => {
    const day = await play(100, 20, { placed: 100, held: 1, journal: 'sqlite' });
    const decisions = new Decisions(client, SHOP);
    const decided = await decisions.untilOne(180_000);
    expect(decided.spec.mode, 'the run is no object; it shows as one').to.equal('View');
    expect(decided.status?.givenUp, 'what it gave up on').not.to.equal(undefined).and.not.to.be.empty;
    const killer = new Killer(client, [SYSTEM_NAMESPACE], `${seed}-sqlite`);
    await killer.kill('mercato-operator');
    expect(killer.victims, 'pods of the operator').to.deep.equal(['mercato-operator-0']);
    const { accepted, placed, told, announced } = await expectConserved(day);
    expect({ accepted, placed }).to.deep.equal({ accepted: 101, placed: 101 });
    expect(told['Aborted'], 'orders that a person ended').to.be.at.least(1);
    expect(announced['held'], 'holds that were announced').to.be.at.least(1);
    await rollouts.areComplete();
  });

  it('changes to runs as objects while none is open', async () => {
    await new Decisions(client, SHOP).untilNoneIsOpen(180_000);
    await install();
  });

  it('has every pod ready under Pod Security', async () => {
    for (const namespace of ALL) {
      const found = await objects.find({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      expect(found?.metadata.labels, namespace).to.include(podSecurity('restricted'));
      await client
        .create(pods, privileged(namespace), { dryRun: true })
        .then(() => expect.fail(`${namespace} takes a privileged pod`))
        .catch((error: Error) => expect(error.message).to.match(/violates PodSecurity "restricted/));
    }
    const unready = async () => (await ours()).filter(({ status }) => !isTrue(status?.conditions, 'Ready'));
    await until(
      'every pod is ready',
      120_000,
      async () => (await unready()).length === 0,
      async () => (await unready()).map(troubleOf).join('; '),
    );
    const services = new Set((await ours()).map(({ metadata }) => metadata.labels?.['app.kubernetes.io/name']));
    expect([...services]).to.include.members([
      'mercato-operator',
      'mercato-boundary',
      'inventory',
      'payment',
      'shipping',
      'order',
      'acquirer',
      'carrier',
    ]);
  });

  it('passes the tests of its charts', async () => {
    await (await Helm.for(cluster, say)).test('mercato', SYSTEM_NAMESPACE);
  });

  it('carries a day of orders from the order service to their ends, tells their customers, and loses nothing', async () => {
    const day = await play(200, 20, { placed: 100, held: 1, cancelled: 3 });
    const { accepted, placed, told, announced, phases } = await expectConserved(day);
    expect({ accepted, placed }, 'all with the order service').to.deep.equal({ accepted: 204, placed: 204 });
    // That each customer is told of the right one, the conservation check says.
    expect(told['Held'], 'customers who are told that their order is held').to.equal(phases.Held).and.be.at.least(1);
    expect(announced['held'], 'holds that were announced').to.equal(phases.Held);
    expect(announced).to.include.all.keys('completed', 'failed', 'cancelled');
  });

  it('spreads a service over zones', async function () {
    needs(this, able.zones.length > 1, 'nodes in several zones');
    await rollouts.areComplete();
    const operators = (await ours()).filter((pod) => nameOf(pod) === 'mercato-operator');
    expect(new Set(operators.map(({ spec }) => spec.nodeName))).to.have.length(operators.length);
  });

  it('loses no order while pods are killed at random', async () => {
    const day = await play(200, 35);
    const killer = new Killer(client, ALL, `${seed}-kills`);
    await killer.killFor(35_000, ['order'], 6);
    say(`killed ${killer.victims.join(', ')}`);
    await expectConserved(day);
    await rollouts.areComplete();
  });

  it('is upgraded with runs in flight', async () => {
    const day = await play(200, 30);
    const unfinished = async () =>
      (await client.list(orderSagaRuns, { namespace: SHOP })).items.filter(
        ({ status }) => status?.phase === 'Running' || status?.phase === 'Pending',
      ).length;
    await until('runs are in flight', 180_000, async () => (await unfinished()) > 0);
    const debug = { logLevel: 'debug' };
    await install({ 'mercato-operator': debug, inventory: debug, payment: debug, shipping: debug, order: debug });
    await expectConserved(day);
  });

  it('says whether its cluster enforces the PCI boundary, and puts back what was changed', async () => {
    const enforced = await enforcesPolicies(client, imageIn(images, 'tools'));
    const expected = enforced ? 'True' : 'False';
    const condition = async (type: string) =>
      (await boundary())?.status?.conditions?.find((each) => each.type === type);
    await until(
      `the boundary's condition Enforced is ${expected}`,
      180_000,
      async () => (await condition('Enforced'))?.status === expected,
      async () => JSON.stringify((await boundary())?.status?.conditions),
    );
    say(`Enforced=${expected}: ${(await condition('Enforced'))?.message}`);

    const deny = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'default-deny', namespace: 'mercato-card' },
    };
    const before = await objects.find(deny);
    expect(before, 'the default denial').not.to.equal(undefined);
    await objects.remove(deny);
    const began = performance.now();
    await until('the denial is back', 60_000, async () => {
      const now = await objects.find(deny);
      return now !== undefined && now.metadata.uid !== before?.metadata.uid;
    });
    say(`the denial was back after ${Math.round(performance.now() - began)} ms`);
  });

  describe('a service that any pod can do the work of', () => {
    let chart: string;
    const url = `http://${quote.name}.${SHOP}.svc:8080/work?ms=5`;
    const sender = {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': PLAYER_NAMESPACE } },
      podSelector: { matchLabels: SENDER },
    };
    const load = (name: string, rate: number, seconds: number) =>
      startLoad(cluster, client, { image: imageIn(images, 'tools'), name, url, rate, seconds });
    const count = async () => (await ours()).filter((pod) => nameOf(pod) === quote.name).length;

    before(async () => {
      chart = await quoteChart();
      await objects.applyAll(playerRights());
      const values = { callers: [sender], autoscaling: { min: 2, max: 3, scaleInAfterSeconds: 15 } };
      const helm = await Helm.for(cluster, say);
      await helm.upgrade(quote.name, chart, { namespace: SYSTEM_NAMESPACE, values: valuesFor(able, images, values) });
    });
    after(async () => {
      await (await Helm.for(cluster, say)).uninstall(quote.name, SYSTEM_NAMESPACE);
    });

    it('fails no request while it is rolled, and no order is lost while all else is', async () => {
      const day = await play(200, 45);
      const requests = await load('load-rollout', 20, 60);
      await rollouts.restartAll();
      await rollouts.areComplete();
      await expectNoneFailed(await requests.result());
      await expectConserved(day);
    });

    it('scales out under load, and in after it', async function () {
      needs(this, able.metrics, 'metrics of pods');
      // What came before may have been load enough for a third.
      await until('two pods are there', 240_000, async () => (await count()) === 2, hpa);
      const requests = await load('load-scaling', 50, 180);
      await until('a third pod is there', 120_000, async () => (await count()) > 2, hpa);
      await requests.stop();
      await until('two pods are left', 240_000, async () => (await count()) === 2, hpa);
    });

    const hpa = async () =>
      JSON.stringify(
        (
          await objects.find<{ status?: unknown } & Pod>({
            apiVersion: 'autoscaling/v2',
            kind: 'HorizontalPodAutoscaler',
            metadata: { name: quote.name, namespace: SHOP },
          })
        )?.status,
      );

    async function expectNoneFailed(requests: Load): Promise<void> {
      say(`${requests.sent} requests, p99 ${requests.p99Ms} ms, failed: ${JSON.stringify(requests.failures)}`);
      expect(requests.failures).to.deep.equal({});
    }
  });

  // Suites come after tests, in their order: this is the last.
  describe('when it is uninstalled', () => {
    it('goes without a trace, and finishes first what it has begun', async () => {
      const day = await play(60, 10);
      await day.result();
      await undeploy({ cluster, client, images, say });
      for (const name of ALL)
        expect(await objects.find({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }), name).to.equal(
          undefined,
        );
      const kinds = (await client.list(customResourceDefinitions)).items.filter(
        ({ spec }) => spec.group === 'mercato.dev',
      );
      expect(kinds.map(({ metadata }) => metadata.name)).to.deep.equal([]);
      await objects.removeAll([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: PLAYER_NAMESPACE } }]);
    });
  });

  const sumOf = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((sum, each) => sum + each, 0);

  const nameOf = ({ metadata }: Pod): string => metadata.labels?.['app.kubernetes.io/name'] ?? '';

  /** Pods of services; those of Jobs come and go. */
  async function ours(): Promise<Pod[]> {
    const labelSelector = 'app.kubernetes.io/part-of=mercato,!batch.kubernetes.io/job-name';
    const lists = await Promise.all(ALL.map((namespace) => client.list(pods, { namespace, labelSelector })));
    return lists.flatMap(({ items }) => items).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  interface Boundary extends Pod {
    readonly status?: { readonly conditions?: readonly { type: string; status: string; message?: string }[] };
  }

  async function boundary(): Promise<Boundary | undefined> {
    const found = await objects
      .find<Boundary>({ apiVersion: 'mercato.dev/v1alpha1', kind: 'PciBoundary', metadata: { name: 'card' } })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    return found;
  }
});

/** What the profile "restricted" is there to keep out. */
function privileged(namespace: string): Pod {
  const container = { name: 'main', image: 'none:0', securityContext: { privileged: true } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'privileged', namespace },
    spec: { containers: [container] },
  };
}
