import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { findCondition } from './api/conditions.ts';
import { type PolicyRule, type Right, rightsOf } from './api/rbac.ts';
import { restockOrders } from './controllers/restockorder/resource.ts';
import { stockAdjustments } from './controllers/stockadjustment/resource.ts';
import { warehouseInventories } from './controllers/warehouseinventory/resource.ts';
import { FinishedRuns } from './journals/kubernetes/finished.ts';
import { sqliteJournal } from './journals/sqlite/journal.ts';
import { KubeClient } from './kube/client.ts';
import { loadConfig } from './kube/config.ts';
import { createTransport } from './kube/transport.ts';
import { CALLER, CLUSTER_WIDE, OPERATOR, ownRules, WATCHED, WORKER_WATCHED, workerOwnRules } from './rights.ts';
import { distrust } from './saga/engine.ts';
import { CONTEXT, revision } from './saga/rehearsal.ts';
import { type Asked, AuditedPlane } from './testing/audit.ts';
import { BROKEN, conditionOf, eventually, operatorIdentity, TestCluster } from './testing/cluster.ts';
import { createJournalTable } from './testing/journal-table.ts';
import { OrderRelay } from './testing/order-relay.ts';
import { Stockroom } from './testing/stockroom.ts';
import { Subscriber } from './testing/subscriber.ts';

/** A right and where it was granted or used. */
const said = ({ verb, group, resource, name }: Right, where: string): string =>
  `${where}: ${verb} ${group}/${resource}${name === undefined ? '' : ` ${name}`}`;

/** Each single right of these rules in a place. */
const granted = (rules: readonly PolicyRule[], where: string): string[] =>
  rightsOf(rules).map((right) => said(right, where));

/**
 * Each single right that was used. The name of the object counts only for rights that were granted by name.
 * @param places what to call the namespaces
 */
function used(asked: readonly Asked[], declared: ReadonlySet<string>, places: Readonly<Record<string, string>>) {
  return new Set(
    asked.map((each) => {
      const where = each.namespace === undefined ? 'cluster' : (places[each.namespace] ?? each.namespace);
      const named = said(each, where);
      const { name: _, ...right } = each;
      return declared.has(named) ? named : said(right, where);
    }),
  );
}

describe("The operator's rights", function () {
  this.timeout(180_000);
  let audited: AuditedPlane;
  let cluster: TestCluster;
  before(async () => {
    audited = await AuditedPlane.start();
  });
  after(() => audited.stop());
  afterEach(() => cluster.close());

  /** All that the operator asked for, up to the release of its lease. */
  async function asked(): Promise<Asked[]> {
    await cluster.stopOperator();
    return audited.askedBy(operatorIdentity(cluster.system).user);
  }

  it('are what it uses, in the namespaces that it looks after and in its own: without any one of them it would be refused', async () => {
    cluster = await TestCluster.create({ plane: audited.plane, confined: true });
    await everything();
    const all = await asked();
    const places = { [cluster.namespace]: 'watched', [cluster.system]: 'own' };
    // What no Role can give, and what it does without.
    const refused = all.filter(({ isRefused }) => isRefused);
    expect([...used(refused, new Set(granted(CLUSTER_WIDE, 'cluster')), places)]).to.deep.equal(
      granted(CLUSTER_WIDE, 'cluster'),
    );
    const served = all.filter(({ isRefused }) => !isRefused);
    const declared = [...granted(WATCHED, 'watched'), ...granted(ownRules(), 'own')];
    expect(new Set(declared).size, 'a right is granted twice, so that removing it changes nothing').to.equal(
      declared.length,
    );
    const uses = used(served, new Set(declared), places);
    expect([...uses].sort()).to.deep.equal(declared.sort());
    for (const { allowedBy } of served)
      expect(allowedBy, 'a right that some other role gives').to.match(
        /allowed by RoleBinding "mercato-operator(-own)?\/[^"]+" of Role "mercato-operator(-own)?" to ServiceAccount/,
      );
  });

  it('are asked for everywhere where it looks after all namespaces, and it sees the kind of runs go', async () => {
    cluster = await TestCluster.create({ plane: audited.plane });
    cluster.allWell();
    await cluster.applySaga({ onStepFailure: 'Hold' });
    cluster.shop.on('book', BROKEN);
    await cluster.startOperator('--watch-namespaces', '');
    await cluster.applyRun('held');
    await cluster.untilPhase('held', 'Held');
    cluster.allWell();
    await cluster.deleteRun('held');
    await cluster.untilGone('held');
    const all = await asked();
    expect(all.filter(({ isRefused }) => isRefused)).to.deep.equal([]);
    const declared = [
      ...granted(
        WATCHED.map((rule) => ({ ...rule, verbs: rule.verbs.filter((verb) => verb === 'list' || verb === 'watch') })),
        'cluster',
      ),
      ...granted(CLUSTER_WIDE, 'cluster'),
    ];
    const uses = used(all, new Set(declared), {});
    expect([...uses].filter((use) => use.startsWith('cluster: ')).sort()).to.deep.equal(declared.sort());
  });

  it('of a worker are what it uses, which is less', async () => {
    cluster = await TestCluster.create({ plane: audited.plane, confined: true });
    cluster.allWell();
    // A worker accepts no sagas: that is the controllers' work. They do it as the administrator, so that all that is on record is the worker's.
    await cluster.applySaga();
    await cluster.startOperator('--kubeconfig', audited.plane.kubeconfigPath);
    await cluster.applyRun('accepted');
    await cluster.untilPhase('accepted', 'Succeeded');
    await cluster.stopOperator();
    const aws = await sharedDynamoDbLocal();
    const table = `rights-${randomBytes(4).toString('hex')}`;
    await createJournalTable(aws.client, table);
    const saved = { ...process.env };
    Object.assign(process.env, {
      AWS_REGION: aws.client.region,
      AWS_ENDPOINT_URL_DYNAMODB: aws.client.endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
    try {
      const relay = await OrderRelay.of(cluster);
      const subscriber = await Subscriber.start();
      const journal = ['--role=worker', '--journal=dynamodb', `--journal-table=${table}`];
      await cluster.startOperator(...journal, ...relay.flags, `--announce-to=${subscriber.url}`);
      expect(await relay.deliver([relay.placed('good')])).to.include({ Begun: 1 });
      // Refusals go on record: the first makes it, the second finds it.
      for (const bad of ['a', 'b'])
        expect(await relay.deliver([relay.placed(bad, { mercatonamespace: 'elsewhere' })])).to.include({ Refused: 1 });
      await eventually(
        async () => subscriber.toldOf('good').includes('succeeded'),
        () => `told of ${subscriber.toldOf('good')}`,
      );
      // The keys of tokens are no resource, and everybody's to read.
      const all = (await asked()).filter(({ resource }) => resource !== '');
      await subscriber.stop();
      expect(all.filter(({ isRefused }) => isRefused)).to.deep.equal([]);
      const declared = [...granted(WORKER_WATCHED, 'watched'), ...granted(workerOwnRules(), 'own')];
      const places = { [cluster.namespace]: 'watched', [cluster.system]: 'own' };
      expect([...used(all, new Set(declared), places)].sort()).to.deep.equal(declared.sort());
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in saved)) delete process.env[name];
      Object.assign(process.env, saved);
    }
  });

  it("of its callers' account are none", async () => {
    cluster = await TestCluster.create({ plane: audited.plane });
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${cluster.system}`, 'system:authenticated'];
    const rulesOf = async (namespace: string, name: string) => {
      const review = await audited.plane.kubectl([
        'auth',
        'can-i',
        '--list',
        '--no-headers',
        '--namespace',
        namespace,
        '--as',
        `system:serviceaccount:${cluster.system}:${name}`,
        ...groups.flatMap((group) => ['--as-group', group]),
      ]);
      return review.split('\n').filter((line) => /\S/.test(line) && !/^\s|selfsubject/.test(line));
    };
    for (const namespace of [cluster.system, cluster.namespace]) {
      expect(await rulesOf(namespace, CALLER), namespace).to.deep.equal([]);
      expect(await rulesOf(namespace, OPERATOR), namespace).not.to.deep.equal([]);
    }
  });

  /** All that the operator does. */
  async function everything(): Promise<void> {
    cluster.allWell();
    await cluster.applySaga({ ttlAfterFinished: { succeeded: '1s' }, onStepFailure: 'Hold' });
    await cluster.startOperator();
    await cluster.applyRun('short-lived');
    await cluster.untilGone('short-lived');
    cluster.shop.on('book', BROKEN);
    await cluster.applyRun('held');
    const { status } = await cluster.untilPhase('held', 'Held');
    await cluster.untilEvent('held', 'AttemptFailed');
    // A second event of the same kind goes into the first one's series.
    await cluster.decide('held', { holdId: status?.holdId, do: 'Retry' });
    const again = await cluster.until(
      'held',
      (run) => run.status?.phase === 'Held' && run.status.holdId !== status?.holdId,
    );
    await eventually(
      async () => (await cluster.eventsOf('held')).some(({ series }) => (series?.count ?? 0) > 1),
      () => 'an event of a series',
      60_000,
    );
    // The next leader looks up a revision that is no longer the current one.
    await cluster.stopOperator();
    await cluster.applySaga({ ttlAfterFinished: { succeeded: '1h' }, deadline: '7m' });
    await cluster.startOperator();
    await cluster.deleteRun('held');
    cluster.allWell();
    await cluster.untilGone('held');
    expect(again.status?.holdId).to.match(/^2-/);
    // A decision that comes after the end needs the whole object.
    await cluster.applyRun('over');
    await cluster.untilPhase('over', 'Succeeded');
    await cluster.decide('over', { holdId: 'none', do: 'Retry' });
    await cluster.until('over', (run) => conditionOf(run, 'DecisionAccepted') !== undefined);
    await stock();
    await forget();
    await view();
  }

  /** A warehouse that is looked at, a restock order that is proposed, an adjustment that is booked. */
  async function stock(): Promise<void> {
    const room = await Stockroom.start();
    try {
      await cluster.apply({
        kind: 'Participant',
        metadata: { name: 'inventory' },
        spec: { url: room.url, audience: 'inventory', commands: [{ name: 'reserve-stock', reasons: ['No'] }] },
      });
      const policy = { reorderPoint: 5, reorderUpTo: 20, supplier: 'potteries', leadTime: '1d' };
      const location = { country: 'GB' };
      await cluster.apply({
        kind: 'WarehouseInventory',
        metadata: { name: 'leeds' },
        spec: { participant: { name: 'inventory' }, location, policy },
      });
      const adjustment = { warehouse: 'leeds', sku: 'MUG', type: 'Received', quantity: 1, reason: 'a test' };
      await cluster.apply({
        kind: 'StockAdjustment',
        metadata: { name: 'found' },
        spec: { adjustmentId: 'found', ...adjustment },
      });
      const { client, namespace } = cluster;
      await eventually(
        async () => {
          const [adjusted, ordered, looked] = await Promise.all([
            client.list(stockAdjustments, { namespace }),
            client.list(restockOrders, { namespace }),
            client.list(warehouseInventories, { namespace }),
          ]);
          return (
            adjusted.items[0]?.status?.phase === 'Applied' &&
            ordered.items[0]?.status?.phase === 'Proposed' &&
            findCondition(looked.items[0]?.status?.conditions, 'StockLow')?.status === 'True'
          );
        },
        () => 'an adjustment is booked and a restock order proposed',
      );
    } finally {
      await cluster.stopOperator();
      await room.stop();
    }
  }

  /** A held run of a journal outside Kubernetes shows as a View. */
  async function view(): Promise<void> {
    const { namespace } = cluster;
    const directory = await mkdtemp(join(tmpdir(), 'mercato-journal-'));
    const path = join(directory, 'journal.db');
    const held = revision();
    const journal = sqliteJournal(path, { retention: { ended: () => 60_000 } });
    await journal.open();
    await journal.saveRevision(namespace, 'checkout', held);
    const id = { namespace, saga: 'checkout', orderId: 'elsewhere' };
    const made = await journal.create({ ...CONTEXT, id, revision: held.hash, createdAt: Date.now() });
    const now = { wall: Date.now(), elapsed: 0 };
    const { state } = distrust(held, { ...CONTEXT, id }, 'the test says so', now);
    await journal.write(id, state, made.type === 'Created' ? made.version : '');
    await journal.close();
    await cluster.startOperator('--journal', 'sqlite', '--journal-path', path);
    await cluster.untilPhase('elsewhere', 'Held');
    await cluster.stopOperator();
    await rm(directory, { recursive: true });
  }

  /** What comes 36 days later. */
  async function forget(): Promise<void> {
    const client = new KubeClient(createTransport(loadConfig({ kubeconfig: cluster.operatorKubeconfig })));
    const later = new FinishedRuns(client, cluster.system, () => Date.now() + 40 * 86_400_000);
    await later.load();
    await later.prune();
    await client.transport.close();
  }
});
