import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import { freePort } from '@mercato/controlplane/ports.ts';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { type Condition, findCondition } from '@mercato/operator/api/conditions.ts';
import type { PciBoundary, PciBoundarySpec } from '@mercato/operator/api/pciboundary.ts';
import type { PolicyRule } from '@mercato/operator/api/rbac.ts';
import { untilMay } from '@mercato/operator/api/testing.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { loadConfig } from '@mercato/operator/kube/config.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { events } from '@mercato/operator/kube/resource.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import type { KubeEvent } from '@mercato/operator/kube/types.ts';
import { silentLogger } from '@mercato/operator/runtime/logger.ts';
import { eventually } from '@mercato/operator/testing/cluster.ts';
import { metricSum } from '@mercato/operator/testing/metrics.ts';
import { BoundaryProgram } from '../boundary.ts';
import { networkPolicies, pciBoundaries } from '../kube/resources.ts';
import { parseOptions } from '../options.ts';
import type { NetworkPolicy } from '../policy/types.ts';
import { clusterRights, namespaceRights } from '../rights.ts';
import { cardNamespace, installAdmission } from './admission.ts';

/** One running controller. */
export interface Replica {
  readonly metricsUrl: string;
  stop(): Promise<void>;
}

/** The ports and names that the tests' boundary speaks of. */
export const PAYMENT = { 'app.kubernetes.io/name': 'payment' };
export const SHIPPING = { 'app.kubernetes.io/name': 'shipping' };

/** Where a pod of the tests would find the API server. */
export const API_SERVER = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

/**
 * A real API server with the boundary's admission policies, the controller's rights, a card namespace, a shop namespace, and a boundary around the first
 * that the test may create.
 */
export class BoundaryCluster {
  readonly plane: ControlPlane;
  /** As the administrator. */
  readonly client: KubeClient;
  /** The boundary's name. */
  readonly name: string;
  readonly card: string;
  readonly shop: string;
  /** The controller's own namespace: each test has one, so that their leases do not meet. */
  readonly system: string;
  readonly kubeconfig: string;
  /** Whether the controller's log is thrown away: for tests in which it fails on purpose. */
  quiet = false;
  readonly #replicas: Replica[] = [];
  readonly #made = new Set<string>();
  #failure: unknown;

  private constructor(
    fields: Pick<BoundaryCluster, 'plane' | 'client' | 'name' | 'card' | 'shop' | 'system' | 'kubeconfig'>,
  ) {
    this.plane = fields.plane;
    this.client = fields.client;
    this.name = fields.name;
    this.card = fields.card;
    this.shop = fields.shop;
    this.system = fields.system;
    this.kubeconfig = fields.kubeconfig;
  }

  /** @param options.rights the controller's rights in the cluster. @default its own */
  static async create(
    options: { plane?: ControlPlane; rights?: readonly PolicyRule[]; controllerManager?: boolean } = {},
  ): Promise<BoundaryCluster> {
    const { controllerManager = false } = options;
    const plane = options.plane ?? (await sharedControlPlane({ controllerManager }));
    await installAdmission(plane);
    const system = await uniqueNamespace(plane, 'boundary');
    const shop = await uniqueNamespace(plane, 'shop');
    const suffix = randomBytes(4).toString('hex');
    const card = `card-${suffix}`;
    await cardNamespace(plane, card);
    const user = `system:serviceaccount:${system}:mercato-boundary`;
    await grant(plane, system, user, options.rights ?? clusterRights);
    const kubeconfig = join(await mkdtemp(join(tmpdir(), 'mercato-boundary-')), 'kubeconfig');
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${system}`, 'system:authenticated'];
    await writeFile(kubeconfig, await plane.kubeconfigYaml({ user, groups }), { mode: 0o600 });
    const client = new KubeClient(createTransport(loadConfig({ kubeconfig: plane.kubeconfigPath })), {
      fieldManager: 'test',
    });
    return new BoundaryCluster({ plane, client, name: `b-${suffix}`, card, shop, system, kubeconfig });
  }

  /** Starts the controller in this process, under its own rights. Several may run: one of them leads. */
  async start(...flags: string[]): Promise<Replica> {
    const port = await freePort();
    const settings = {
      kubeconfig: this.kubeconfig,
      namespace: this.system,
      'health-address': `127.0.0.1:${port}`,
      // A busy machine may stop it for two seconds, and no test waits for the lease of one that died.
      'lease-duration': '15s',
      'log-level': 'error',
    };
    const args = [...Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, value]), ...flags];
    const options = parseOptions(args, {});
    if (options === 'help') throw new Error('no help here');
    const stop = new AbortController();
    const ended = new BoundaryProgram(options, { env: API_SERVER, ...(this.quiet && { logger: silentLogger }) }).run(
      stop.signal,
    );
    const replica: Replica = {
      metricsUrl: `http://127.0.0.1:${port}/metrics`,
      stop: async () => {
        stop.abort(new Error('the test stops it'));
        await ended;
      },
    };
    ended.catch((error: unknown) => {
      this.#failure ??= error;
    });
    this.#replicas.push(replica);
    return replica;
  }

  /** Stops every replica in order. Rejects with what the first failed with. */
  async stop(): Promise<void> {
    await Promise.all(this.#replicas.splice(0).map((replica) => replica.stop()));
  }

  /** The boundary's spec: the shop's shipping calls payment, payment calls shipping back. */
  specOf(changes: Partial<PciBoundarySpec> = {}): PciBoundarySpec {
    const payment = { namespace: this.card, podLabels: PAYMENT };
    const shipping = { namespace: this.shop, podLabels: SHIPPING };
    const ports = [{ port: 8080, protocol: 'TCP' as const }];
    return {
      namespaces: [this.card],
      ingress: [{ name: 'shipping', from: shipping, to: payment, ports, why: 'a test' }],
      egress: [{ name: 'shipping', from: payment, to: { pods: shipping }, ports, wide: false, why: 'a test' }],
      access: [],
      probes: { interval: '10m', namespaces: [] },
      ...changes,
    };
  }

  /** Applies the boundary, or another of this name. */
  async apply(changes: Partial<PciBoundarySpec> = {}, name = this.name): Promise<PciBoundary> {
    this.#made.add(name);
    return this.client.apply<PciBoundary>(pciBoundaries, { name }, { spec: this.specOf(changes) } as object);
  }

  async boundary(name = this.name): Promise<PciBoundary | undefined> {
    return this.client.get(pciBoundaries, { name }).catch((error) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  }

  /** Waits until the boundary is as wanted, and answers it. */
  async until(wanted: (boundary: PciBoundary) => boolean, name = this.name): Promise<PciBoundary> {
    let last: PciBoundary | undefined;
    await eventually(
      async () => {
        if (this.#failure !== undefined) throw this.#failure;
        last = await this.boundary(name);
        return last !== undefined && wanted(last);
      },
      () => `boundary ${name} became ${JSON.stringify(last?.status)}`,
    );
    return last as PciBoundary;
  }

  /** Waits until a condition has this status, and answers it. */
  async untilCondition(type: string, status: string, reason?: string, name = this.name): Promise<Condition> {
    const wanted = (boundary: PciBoundary): boolean => {
      const condition = findCondition(boundary.status?.conditions, type);
      return (
        condition?.status === status &&
        (reason === undefined || condition.reason === reason) &&
        boundary.status?.observedGeneration === boundary.metadata.generation
      );
    };
    return findCondition((await this.until(wanted, name)).status?.conditions, type) as Condition;
  }

  /** A policy of the card namespace, or undefined. */
  async policy(name: string, namespace = this.card): Promise<NetworkPolicy | undefined> {
    return this.client.get(networkPolicies, { namespace, name }).catch((error) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  }

  /** The names of all policies of the card namespace. */
  async policies(namespace = this.card): Promise<string[]> {
    const { items } = await this.client.list(networkPolicies, { namespace });
    return items.map(({ metadata }) => metadata.name).sort();
  }

  /** Waits for something, telling what the controller failed with if it did. */
  async eventually(what: string, wanted: () => Promise<boolean>): Promise<void> {
    await eventually(
      async () => {
        if (this.#failure !== undefined) throw this.#failure;
        return wanted();
      },
      () => what,
    );
  }

  /** Waits for an Event of the boundary with this reason, and answers it. */
  async untilEvent(reason: string): Promise<KubeEvent> {
    let seen: KubeEvent[] = [];
    let found: KubeEvent | undefined;
    await eventually(
      async () => {
        const { items } = await this.client.list(events, { namespace: 'default' });
        seen = items.filter(({ regarding }) => regarding?.name === this.name);
        found = seen.find((event) => event.reason === reason);
        return found !== undefined;
      },
      () => `the boundary has no event ${reason}, but ${seen.map((event) => event.reason).join(' ')}`,
    );
    return found as KubeEvent;
  }

  /** The sum of a metric's samples whose labels include these, over all replicas. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return metricSum(
      this.#replicas.map(({ metricsUrl }) => metricsUrl),
      name,
      labels,
    );
  }

  /** Ends everything and leaves no boundary behind that another test's controller would keep. */
  async close(): Promise<void> {
    await this.stop();
    for (const name of this.#made) {
      if ((await this.boundary(name)) === undefined) continue;
      await this.client.patch(pciBoundaries, { name }, { metadata: { finalizers: null } } as object);
      await this.client.delete(pciBoundaries, { name });
    }
    await this.client.transport.close();
  }
}

/** Gives a user rights in the cluster, and those that the controller has in its own namespace, and returns when they count. */
async function grant(plane: ControlPlane, system: string, user: string, rules: readonly PolicyRule[]): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const subjects = [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }];
  const place = `${rbac}/namespaces/${system}`;
  const metadata = { name: system };
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await plane.request(path, { method: 'POST', body });
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  };
  const ref = (kind: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name: system });
  await post(`${rbac}/clusterroles`, { kind: 'ClusterRole', metadata, rules });
  await post(`${rbac}/clusterrolebindings`, {
    kind: 'ClusterRoleBinding',
    metadata,
    roleRef: ref('ClusterRole'),
    subjects,
  });
  await post(`${place}/roles`, { kind: 'Role', metadata, rules: namespaceRights });
  await post(`${place}/rolebindings`, { kind: 'RoleBinding', metadata, roleRef: ref('Role'), subjects });
  await untilMay(plane, user, rules);
  await untilMay(plane, user, namespaceRights, system);
}
