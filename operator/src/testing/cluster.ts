import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import { freePort } from '@mercato/controlplane/ports.ts';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import type { Condition } from '../api/conditions.ts';
import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { installApi } from '../api/testing.ts';
import { orderSagas } from '../controllers/ordersaga/controller.ts';
import { orderSagaRuns } from '../journals/kubernetes/journal.ts';
import { KubeClient } from '../kube/client.ts';
import { loadConfig } from '../kube/config.ts';
import { isNotFound } from '../kube/errors.ts';
import { configMaps, events, leases, type Resource } from '../kube/resource.ts';
import { createTransport } from '../kube/transport.ts';
import type { ConfigMap, KubeEvent, KubeObject, Lease } from '../kube/types.ts';
import { Operator } from '../operator.ts';
import { parseOptions } from '../options.ts';
import { OPERATOR, rights } from '../rights.ts';
import { shardOfLease } from '../sharding/lease.ts';
import { metricSum } from './metrics.ts';
import { type Reply, ScriptedParticipant } from './participant.ts';
import { OperatorProcess, type Replica } from './replica.ts';

/** How long a test waits for something to become true. */
const PATIENCE_MILLIS = 30_000;

/**
 * A saga of three steps before the pivot and the pivot: what the tests of runs follow. No attempt times out, and no deadline is over, while a test makes it
 * wait or a busy machine does.
 */
export const SAGA = {
  deadline: '10m',
  onStepFailure: 'Compensate',
  steps: [
    { name: 'reserve', participant: 'shop', command: 'reserve', compensation: 'release', uses: ['input.lines'] },
    {
      name: 'pay',
      participant: 'shop',
      command: 'pay',
      compensation: 'void',
      uses: ['input.total', 'input.paymentToken'],
    },
    { name: 'book', participant: 'shop', command: 'book', compensation: 'unbook', uses: ['reserve.reservationId'] },
    { name: 'capture', participant: 'shop', command: 'capture', pivot: true, uses: ['pay.authorisationId'] },
  ].map((step) => ({
    ...step,
    timeout: '1m',
    retry: { maxAttempts: 3, initialInterval: '20ms', maxInterval: '100ms' },
  })),
};

/** Answers that tests give often. `OK` has what the later steps of {@link SAGA} use. */
export const OK: Reply = { status: 200, body: { reservationId: 'r-1', authorisationId: 'a-1' } };
export const DECLINED: Reply = {
  status: 422,
  body: { type: 'urn:no', title: 'no', reason: 'No', detail: 'insufficient funds' },
};
/**
 * An answer that uses up an attempt, each time: nobody knows what came of the command, and the participant is there. A 5xx would do so for a while only: many of
 * them within a minute open the participant's circuit, whatever runs they belong to, and an open circuit costs no attempt.
 */
export const BROKEN: Reply = { status: 404, type: 'text/html', body: '<h1>no such page</h1>' };

const COMMANDS = ['reserve', 'pay', 'book', 'capture', 'release', 'void', 'unbook'];

/** A real API server with the operator's rights in it, a namespace of the test's own, and a scripted participant named `shop`. */
export class TestCluster {
  readonly plane: ControlPlane;
  /** As the administrator. */
  readonly client: KubeClient;
  readonly namespace: string;
  readonly shop: ScriptedParticipant;
  /** The operator's own namespace: each test cluster has one, so that their leases do not meet. */
  readonly system: string;
  readonly #kubeconfig: string;
  readonly #lease: string;
  #failure: unknown;
  readonly #replicas: Replica[] = [];

  private constructor(
    fields: Pick<TestCluster, 'plane' | 'client' | 'namespace' | 'shop' | 'system'>,
    kubeconfig: string,
    lease: string,
  ) {
    this.plane = fields.plane;
    this.client = fields.client;
    this.namespace = fields.namespace;
    this.shop = fields.shop;
    this.system = fields.system;
    this.#kubeconfig = kubeconfig;
    this.#lease = lease;
  }

  /**
   * @param options.confined gives the operator Roles in the test's namespace instead of a ClusterRole. @default false
   * @param options.lease how long an operator that died is waited for. A busy machine may stop one for seconds, so that only tests in which one is to lose
   *   its lease by itself should ask for less; others {@link shortenLeases}. @default 15s
   */
  static async create(
    options: { controllerManager?: boolean; plane?: ControlPlane; confined?: boolean; lease?: string } = {},
  ): Promise<TestCluster> {
    const plane = options.plane ?? (await sharedControlPlane(options));
    await installApi(plane);
    const system = await uniqueNamespace(plane, 'system');
    const namespace = await uniqueNamespace(plane, 'shop');
    const installed = rights({
      namespace: system,
      clusterName: `${OPERATOR}-${system}`,
      ...(options.confined === true && { watchNamespaces: [namespace] }),
    });
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: installed });
    await plane.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], list);
    const directory = await mkdtemp(join(tmpdir(), 'mercato-operator-'));
    const kubeconfig = join(directory, 'kubeconfig');
    await writeFile(kubeconfig, await plane.kubeconfigYaml(operatorIdentity(system)), { mode: 0o600 });
    const client = new KubeClient(createTransport(loadConfig({ kubeconfig: plane.kubeconfigPath })), {
      fieldManager: 'test',
    });
    const shop = await ScriptedParticipant.start();
    const cluster = new TestCluster({ plane, client, namespace, shop, system }, kubeconfig, options.lease ?? '15s');
    await cluster.applyParticipant();
    return cluster;
  }

  /** Starts the operator in this process, under its own rights. Several may run: one of them leads. */
  async startOperator(...flags: string[]): Promise<Replica> {
    const port = await freePort();
    const options = parseOptions(this.#flags(port, flags), {});
    if (options === 'help') throw new Error('no help here');
    const stop = new AbortController();
    const ended = new Operator(options).run(stop.signal);
    const replica: Replica = {
      metricsUrl: `http://127.0.0.1:${port}/metrics`,
      ended,
      stop: async () => {
        stop.abort(new Error('the test stops it'));
        await ended;
      },
    };
    // What it fails with is told by whatever waits next, and by stopOperator; a test that wants the failure takes the replica out first.
    ended.catch((error: unknown) => {
      if (this.#replicas.includes(replica)) this.#failure = error;
    });
    this.#replicas.push(replica);
    return replica;
  }

  /** Starts the operator as a process of its own, which a test can kill. */
  async startProcess(...flags: string[]): Promise<OperatorProcess> {
    const port = await freePort();
    const replica = new OperatorProcess(this.#flags(port, flags), `http://127.0.0.1:${port}/metrics`);
    this.#replicas.push(replica);
    return replica;
  }

  #flags(port: number, more: readonly string[]): string[] {
    const flags = {
      kubeconfig: this.#kubeconfig,
      namespace: this.system,
      'watch-namespaces': this.namespace,
      'health-address': `127.0.0.1:${port}`,
      'lease-duration': this.#lease,
      'log-level': 'error',
    };
    return [...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]), ...more];
  }

  /** From now on the test looks after this replica itself, and after what it fails with. */
  takeOut(replica: Replica): void {
    const index = this.#replicas.indexOf(replica);
    if (index >= 0) this.#replicas.splice(index, 1);
  }

  /** Who holds the Leases that a process renews: of all replicas, and of the leader. */
  async holders(): Promise<ReadonlySet<string>> {
    return new Set((await this.#renewedLeases()).map(({ spec }) => spec?.holderIdentity ?? ''));
  }

  /**
   * Has whoever takes over wait a second for those that were killed, and not for a lease that is long enough for a busy machine.
   * @param living who renews their Leases still
   */
  async shortenLeases(living: ReadonlySet<string> = new Set()): Promise<void> {
    for (const { metadata, spec } of await this.#renewedLeases()) {
      if (living.has(spec?.holderIdentity ?? '')) continue;
      const place = { namespace: this.system, name: metadata.name };
      await this.client.patch(leases, place, { spec: { leaseDurationSeconds: 1 } });
    }
  }

  async #renewedLeases(): Promise<Lease[]> {
    const { items } = await this.client.list(leases, { namespace: this.system });
    return items.filter((lease) => shardOfLease(lease) === undefined);
  }

  /** Stops every replica in order. Rejects with what the first failed with. */
  async stopOperator(): Promise<void> {
    await Promise.all(this.#replicas.splice(0).map((replica) => replica.stop()));
  }

  /** The sum of a metric's samples whose labels include these, over all replicas. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return metricSum(
      this.#replicas.map(({ metricsUrl }) => metricsUrl),
      name,
      labels,
    );
  }

  async close(): Promise<void> {
    await this.stopOperator();
    await this.shop.stop();
    await this.client.transport.close();
  }

  /** Where the operator's kubeconfig is, for processes of their own. */
  get operatorKubeconfig(): string {
    return this.#kubeconfig;
  }

  async applyParticipant(spec: object = {}): Promise<void> {
    const commands = COMMANDS.map((name) => ({ name, reasons: ['No'] }));
    await this.apply({
      kind: 'Participant',
      metadata: { name: 'shop' },
      spec: { url: this.shop.url, audience: 'shop', commands, ...spec },
    });
  }

  async applySaga(changes: object = {}): Promise<void> {
    await this.apply({ kind: 'OrderSaga', metadata: { name: 'checkout' }, spec: { ...SAGA, ...changes } });
  }

  /** As {@link applySaga} while an operator runs, and waits until that has seen it: its watch of runs may be ahead of its watch of sagas. */
  async changeSaga(changes: object = {}): Promise<void> {
    await this.applySaga(changes);
    await this.untilSeen(orderSagas, 'checkout');
  }

  /** Deletes the saga under a running operator, and waits until that has seen it: by another that came after it. */
  async deleteSaga(): Promise<void> {
    await this.kubectl('delete', 'saga', 'checkout');
    await this.apply({ kind: 'OrderSaga', metadata: { name: 'after-checkout' }, spec: SAGA });
    await this.untilSeen(orderSagas, 'after-checkout');
  }

  /** Waits until the operator has seen an object of the test's namespace as it is now. */
  async untilSeen<T extends KubeObject & { status?: { observedGeneration?: number } }>(
    of: Resource<T>,
    name: string,
  ): Promise<void> {
    await eventually(
      async () => {
        const { metadata, status } = await this.client.get(of, { namespace: this.namespace, name });
        return status?.observedGeneration === metadata.generation;
      },
      () => `the operator does not see ${of.kind} ${name} as it is`,
    );
  }

  async applyRun(orderId: string, changes: object = {}): Promise<void> {
    await this.apply(this.runOf(orderId, changes));
  }

  runOf(
    orderId: string,
    changes: object = {},
  ): { kind: string; metadata: { name: string; finalizers?: string[] }; spec: object } {
    const lines = [{ sku: 'MUG', quantity: 2, unitPrice: 895 }];
    const input = { customer: 'ada', currency: 'GBP', lines, paymentToken: 'tok_visa', shipTo: { country: 'GB' } };
    return {
      kind: 'OrderSagaRun',
      metadata: { name: `checkout-${orderId}` },
      spec: { sagaRef: { name: 'checkout' }, orderId, input, ...changes },
    };
  }

  /** Applies an object of ours to the test's namespace, as `kubectl apply --server-side` does. */
  async apply(object: { kind: string; metadata: { name: string }; spec: object }): Promise<void> {
    const document = {
      apiVersion: 'mercato.dev/v1alpha1',
      ...object,
      metadata: { ...object.metadata, namespace: this.namespace },
    };
    await this.plane.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(document));
  }

  /** The run, or undefined when there is none. */
  async run(orderId: string): Promise<OrderSagaRun | undefined> {
    return this.client.get(orderSagaRuns, { namespace: this.namespace, name: `checkout-${orderId}` }).catch((error) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  }

  /** The participant answers each of the saga's commands with {@link OK} again. */
  allWell(): void {
    for (const command of COMMANDS) this.shop.on(command, OK);
  }

  /** Waits until the run is as wanted, and answers it. */
  async until(orderId: string, wanted: (run: OrderSagaRun) => boolean): Promise<OrderSagaRun> {
    let last: OrderSagaRun | undefined;
    await eventually(
      async () => {
        if (this.#failure !== undefined) throw this.#failure;
        last = await this.run(orderId);
        return last !== undefined && wanted(last);
      },
      () => `run ${orderId} became ${JSON.stringify(last?.status)}, called: ${this.shop.commandsOf(orderId).join(' ')}`,
    );
    return last as OrderSagaRun;
  }

  async untilPhase(orderId: string, phase: string): Promise<OrderSagaRun> {
    return this.until(orderId, (run) => run.status?.phase === phase);
  }

  async untilGone(orderId: string): Promise<void> {
    await eventually(
      async () => (await this.run(orderId)) === undefined,
      () => `run ${orderId} is still there`,
    );
  }

  async decide(orderId: string, decision: object): Promise<void> {
    const place = { namespace: this.namespace, name: `checkout-${orderId}` };
    const by = 'admin';
    await this.client.patch<OrderSagaRun>(orderSagaRuns, place, {
      spec: { decision: { reason: 'the test says so', by, ...decision } },
    } as object);
  }

  /** A condition of a run. */
  async condition(orderId: string, type: string): Promise<Condition | undefined> {
    return conditionOf(await this.run(orderId), type);
  }

  /** Runs kubectl in the test's namespace, as the administrator. */
  async kubectl(...args: string[]): Promise<string> {
    return this.plane.kubectl(['--namespace', this.namespace, ...args]);
  }

  /** Deletes a run without waiting until it is gone. */
  async deleteRun(orderId: string): Promise<void> {
    await this.client.delete(orderSagaRuns, { namespace: this.namespace, name: `checkout-${orderId}` });
  }

  /** Waits for an Event of the run with this reason, and answers it. */
  async untilEvent(orderId: string, reason: string): Promise<KubeEvent> {
    let found: KubeEvent | undefined;
    let seen: KubeEvent[] = [];
    await eventually(
      async () => {
        seen = await this.eventsOf(orderId);
        found = seen.find((event) => event.reason === reason);
        return found !== undefined;
      },
      () => `run ${orderId} has no event ${reason}, but ${seen.map((event) => event.reason).join(' ')}`,
    );
    return found as KubeEvent;
  }

  async eventsOf(orderId: string): Promise<KubeEvent[]> {
    const { items } = await this.client.list(events, { namespace: this.namespace });
    return items.filter((event) => event.regarding?.name === `checkout-${orderId}`);
  }

  /** Waits until the order has so many exception records, and answers them. */
  async untilExceptions(orderId: string, count: number): Promise<ConfigMap[]> {
    let found: ConfigMap[] = [];
    await eventually(
      async () => {
        found = await this.exceptionsOf(orderId);
        return found.length >= count;
      },
      () => `${count} exception records of ${orderId}: ${JSON.stringify(found.map(({ data }) => data))}`,
    );
    return found;
  }

  /** The exception records of an order. */
  async exceptionsOf(orderId: string): Promise<ConfigMap[]> {
    const labelSelector = `mercato.dev/record=exception,mercato.dev/order=${orderId}`;
    return (await this.client.list(configMaps, { namespace: this.system, labelSelector })).items;
  }
}

/** A condition of a run. */
export function conditionOf(run: OrderSagaRun | undefined, type: string): Condition | undefined {
  return run?.status?.conditions?.find((condition) => condition.type === type);
}

/** Waits until something is true, looking often. @throws Error with what `otherwise` says when it takes too long. */
export async function eventually(
  wanted: () => Promise<boolean> | boolean,
  otherwise: () => string,
  millis = PATIENCE_MILLIS,
): Promise<void> {
  const end = performance.now() + millis;
  while (!(await wanted())) {
    if (performance.now() > end) throw new Error(`not within ${millis} ms: ${otherwise()}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** Who the operator is on the API server: its service account, with the rights of rights.ts and no others. @param system its namespace */
export function operatorIdentity(system: string): { user: string; groups: string[] } {
  return {
    user: `system:serviceaccount:${system}:${OPERATOR}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${system}`, 'system:authenticated'],
  };
}
