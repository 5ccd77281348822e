import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateEventBusCommand,
  EventBridgeClient,
  PutRuleCommand,
  PutTargetsCommand,
} from '@aws-sdk/client-eventbridge';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Emulator } from '@mercato/aws-emulators';
import { sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { freePort } from '@mercato/controlplane/ports.ts';
import { Program } from '@mercato/kit/testing/program.ts';
import { REASON } from '@mercato/operator/aws/dead-letters.ts';
import { type Queue, sqsClient } from '@mercato/operator/aws/sqs.ts';
import { depth, testQueueWithDeadLetters } from '@mercato/operator/aws/testing.ts';
import { eventually, TestCluster } from '@mercato/operator/testing/cluster.ts';
import { createJournalTable } from '@mercato/operator/testing/journal-table.ts';
import { OrderRelay } from '@mercato/operator/testing/order-relay.ts';
import { Subscriber } from '@mercato/operator/testing/subscriber.ts';
import { request } from '@mercato/order/testing/samples.ts';
import { expect } from 'chai';

const MAIN = new URL('../services/order/src/main.ts', import.meta.url);

/** A customer's subscriber, the order service as a process, and an operator that does not look after the namespace of its orders. */
class Shop {
  readonly cluster: TestCluster;
  readonly folder: string;
  readonly customers: Subscriber;
  readonly #service: Program;

  private constructor(cluster: TestCluster, folder: string, customers: Subscriber, service: Program) {
    this.cluster = cluster;
    this.folder = folder;
    this.customers = customers;
    this.#service = service;
  }

  /** @param settings of the order service, beyond those of a laptop */
  static async open(cluster: TestCluster, settings: Readonly<Record<string, string>>): Promise<Shop> {
    const folder = await mkdtemp(join(tmpdir(), 'mercato-refused-'));
    const customers = await Subscriber.start();
    const service = await Program.start(MAIN, {
      PORT: '0',
      DATA_DIR: folder,
      MERCATO_INSECURE_NO_AUTH: 'true',
      MERCATO_NAMESPACE: 'elsewhere',
      MERCATO_EVENT_SUBSCRIBERS: customers.url,
      ...settings,
    });
    return new Shop(cluster, folder, customers, service);
  }

  /** Starts an operator that tells this order service. */
  async operate(...flags: string[]): Promise<void> {
    await this.cluster.startOperator(...flags, `--announce-to=${this.#service.url}/events`);
  }

  async place(key: string, customer = 'customer-1'): Promise<string> {
    const response = await fetch(`${this.#service.url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(request({ customer })),
    });
    expect(response.status).to.equal(201);
    return ((await response.json()) as { id: string }).id;
  }

  async cancel(id: string): Promise<void> {
    expect((await fetch(`${this.#service.url}/orders/${id}/cancel`, { method: 'POST' })).status).to.equal(202);
  }

  async until(id: string, state: string): Promise<Readonly<Record<string, unknown>>> {
    let seen: Readonly<Record<string, unknown>> = {};
    await eventually(
      async () => {
        seen = (await (await fetch(`${this.#service.url}/orders/${id}`)).json()) as typeof seen;
        return seen['state'] === state;
      },
      () => `the order is ${JSON.stringify(seen)}: ${this.#service.output}`,
    );
    return seen;
  }

  /** Waits until its customer has heard this of an order. */
  untilTold(id: string, ...what: string[]): Promise<void> {
    return eventually(
      async () => what.every((each) => this.customers.toldOf(id).includes(each)),
      () => `its customer was told ${this.customers.toldOf(id).join(', ')}: ${this.#service.output}`,
    );
  }

  async close(): Promise<void> {
    await this.cluster.stopOperator();
    await this.#service.end('SIGTERM');
    await this.customers.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

describe('An order that the operator does not take', function () {
  this.timeout(240_000);
  let cluster: TestCluster;
  let shop: Shop | undefined;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.kubectl('create', 'serviceaccount', 'order');
  });
  afterEach(async () => {
    await shop?.close();
    shop = undefined;
  });
  after(() => cluster.close());

  async function expectFailed(id: string): Promise<void> {
    const order = await shop?.until(id, 'Failed');
    expect(order).to.include({ reason: 'NotPossible' });
    await shop?.untilTold(id, 'failed');
    expect(JSON.stringify(shop?.customers.events))
      .to.contain('You have not been charged')
      .and.not.contain('look after');
  }

  /** The order service's token for intake, and the address of the intake. */
  async function intakeOverHttp(): Promise<{ settings: Record<string, string>; flags: string[] }> {
    const wish = { audiences: ['mercato-operator'], expirationSeconds: 600 };
    const { token } = await cluster.client.createToken({ namespace: cluster.namespace, name: 'order' }, wish);
    const file = join(await mkdtemp(join(tmpdir(), 'mercato-refused-token-')), 'token');
    await writeFile(file, token, { mode: 0o600 });
    const address = `127.0.0.1:${await freePort()}`;
    return {
      settings: { MERCATO_INTAKE_URL: `http://${address}/events`, MERCATO_INTAKE_TOKEN_FILE: file },
      flags: [`--intake-address=${address}`, `--intake-subjects=system:serviceaccount:${cluster.namespace}:order`],
    };
  }

  /** Has the namespace refuse orders of a customer, and waits until it does. */
  async function denyOrdersOf(customer: string): Promise<{ lift(): Promise<unknown> }> {
    const name = `deny-${cluster.namespace}`;
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': cluster.namespace } };
    const resourceRules = [
      { apiGroups: ['mercato.dev'], apiVersions: ['*'], resources: ['ordersagaruns'], operations: ['CREATE'] },
    ];
    const items = [
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name },
        spec: {
          matchConstraints: { namespaceSelector, resourceRules },
          validations: [{ expression: `object.spec.input.customer != '${customer}'`, reason: 'Forbidden' }],
        },
      },
      {
        apiVersion,
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name },
        spec: { policyName: name, validationActions: ['Deny'] },
      },
    ];
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    await cluster.plane.kubectl(['apply', '--server-side', '-f', '-'], list);
    const { input, ...spec } = cluster.runOf('probe').spec as { input: object };
    const metadata = { name: 'checkout-probe', namespace: cluster.namespace };
    const probe = { input: { ...input, customer }, ...spec };
    const run = { apiVersion: 'mercato.dev/v1alpha1', kind: 'OrderSagaRun', metadata, spec: probe };
    let answer = '';
    await eventually(
      async () => {
        answer = await cluster.plane
          .kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(run))
          .catch((error: Error) => error.message);
        return answer.includes(name);
      },
      () => `the policy is not in force: ${answer}`,
    );
    const lift = () =>
      cluster.kubectl(
        'delete',
        '--ignore-not-found',
        'validatingadmissionpolicies,validatingadmissionpolicybindings',
        name,
      );
    return { lift };
  }

  const journals: Readonly<Record<string, () => string[]>> = {
    kubernetes: () => [],
    sqlite: () => ['--journal=sqlite', `--journal-path=${join(shop?.folder ?? '', 'journal.db')}`],
  };
  for (const [journal, flagsOf] of Object.entries(journals))
    it(`fails for its customer, asked for over HTTP (${journal})`, async () => {
      const { settings, flags } = await intakeOverHttp();
      shop = await Shop.open(cluster, settings);
      const [id, cancelled] = [await shop.place('one'), await shop.place('two')];
      await shop.cancel(cancelled);
      await shop.operate(...flagsOf(), ...flags);
      await expectFailed(id);
      await expectFailed(cancelled);
    });

  it('follows its run, and its customer with it, when it is revived', async () => {
    const relay = await OrderRelay.of(cluster);
    const { settings } = await intakeOverHttp();
    const [address = ''] = relay.flags.map((flag) => flag.split('=')[1] ?? '');
    const ours = { MERCATO_INTAKE_URL: `http://${address}/events`, MERCATO_NAMESPACE: cluster.namespace };
    shop = await Shop.open(cluster, { ...settings, ...ours });
    const id = await shop.place('four');
    const flags = [...(journals['sqlite']?.() ?? []), ...relay.flags];
    await shop.operate(...flags, `--watch-namespaces=${cluster.system}`);
    await expectFailed(id);
    await cluster.stopOperator();
    await cluster.applySaga();
    cluster.allWell();
    await shop.operate(...flags);
    // As a redrive brings it.
    expect(await relay.deliver([relay.placed(id)])).to.include({ Begun: 1 });
    await shop.until(id, 'Completed');
    await shop.untilTold(id, 'failed', 'completed');
    expect(cluster.shop.commandsOf(id).filter((command) => command === 'capture')).to.have.length(1);
  });

  it('waits by itself while a policy of its namespace denies it, and is begun and cancelled once it does not (kubernetes)', async () => {
    await cluster.applySaga();
    cluster.allWell();
    const policy = await denyOrdersOf('denied');
    try {
      const { settings, flags } = await intakeOverHttp();
      shop = await Shop.open(cluster, { ...settings, MERCATO_NAMESPACE: cluster.namespace });
      const denied = await shop.place('first', 'denied');
      await shop.cancel(denied);
      const behind = [await shop.place('second'), await shop.place('third')];
      await shop.operate(...flags);
      for (const id of behind) await shop.until(id, 'Completed');
      await shop.until(await shop.place('later'), 'Completed');
      await shop.until(denied, 'Cancelling');
      expect(cluster.shop.commandsOf(denied)).to.deep.equal([]);
      // Its steps take longer than its cancel takes to come.
      cluster.shop.on('book', { status: 202, retryAfter: '0.1' });
      await policy.lift();
      await shop.until(denied, 'Cancelled');
      expect(cluster.shop.commandsOf(denied)).not.to.include('capture');
    } finally {
      await policy.lift();
      cluster.allWell();
    }
  });

  describe('from a queue', () => {
    let aws: Emulator;
    let sqs: SQSClient;
    let queue: Queue;
    let deadLetters: Queue;
    let saved: Record<string, string | undefined>;
    const name = `refused-${randomBytes(4).toString('hex')}`;

    before(async () => {
      aws = await sharedMiniStack();
      sqs = sqsClient({ config: aws.client });
      ({ queue, deadLetters } = await testQueueWithDeadLetters(sqs, name));
      const bus = new EventBridgeClient(aws.client);
      await bus.send(new CreateEventBusCommand({ Name: name }));
      const EventPattern = JSON.stringify({ 'detail-type': ['dev.mercato.order.placed'] });
      await bus.send(new PutRuleCommand({ Name: name, EventBusName: name, EventPattern }));
      const { QueueArn } = await queue.attributes(['QueueArn']);
      const target = { Rule: name, EventBusName: name, Targets: [{ Id: 'queue', Arn: QueueArn }] };
      await bus.send(new PutTargetsCommand(target));
      bus.destroy();
      await createJournalTable(aws.client, name);
      saved = { ...process.env };
      Object.assign(process.env, aws.environment);
    });
    after(() => {
      for (const variable of Object.keys(process.env)) if (!(variable in saved)) delete process.env[variable];
      Object.assign(process.env, saved);
      sqs.destroy();
    });

    it('fails for its customer, and lies aside with its reason (dynamodb)', async () => {
      shop = await Shop.open(cluster, { ...aws.environment, MERCATO_EVENT_BUS: name });
      const id = await shop.place('three');
      const journal = ['--role=worker', '--journal=dynamodb', `--journal-table=${name}`];
      await shop.operate(...journal, `--intake-queue=${queue.url}`);
      await expectFailed(id);
      await eventually(
        async () => Object.values(await depth(queue)).every((count) => count === 0),
        () => 'it is still in the queue',
      );
      const letters = await deadLetters.receive({ visibility: 30, wait: 5 });
      expect(letters.map(({ attributes }) => attributes[REASON])).to.deep.equal(['NamespaceNotWatched']);
      expect(letters[0]?.body).to.contain(id);
    });
  });
});
