import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { admission } from '@mercato/boundary/admission.ts';
import { ENVIRONMENT } from '@mercato/boundary/node-options.ts';
import { clusterRights, namespaceRights } from '@mercato/boundary/rights.ts';
import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import { freePort } from '@mercato/controlplane/ports.ts';
import { ensureTool } from '@mercato/controlplane/tools.ts';
import { crdName, crdOf } from '@mercato/operator/api/kind.ts';
import { pciBoundary } from '@mercato/operator/api/pciboundary.ts';
import { Pool } from 'undici';
import { concurrently, until } from './cluster.ts';

const SYSTEM = 'mercato-boundary';
const NODES = 20;
/** Each has a card namespace of its own, and with {@link RULES} in each direction, DNS and deny 50 policies. */
const BOUNDARIES = 10;
const RULES = 24;
/** Pods in each card namespace; the others are elsewhere. */
const CARD_PODS = 10;
const ELSEWHERE = 20;

/** How large the cluster is that the boundary's controller is measured in. */
export const SIZE = { policies: BOUNDARIES * (2 * RULES + 2), pods: 2_000 };

/** Where a boundary's ways lead from and to. */
export const cardNamespace = (boundary: number): string => `card-${boundary}`;
const callerNamespace = (n: number): string => `team-${n % ELSEWHERE}`;

/**
 * A control plane with durable writes on, nodes and pods that kwok keeps as a kubelet would, boundaries, and their controller as a process of its own
 * under its own rights and admission policies.
 */
export class BoundaryBenchCluster {
  readonly plane: ControlPlane;
  readonly #pool: Pool;
  readonly #directory: string;
  readonly #children: ChildProcess[] = [];
  #health = '';

  private constructor(plane: ControlPlane, pool: Pool, directory: string) {
    this.plane = plane;
    this.#pool = pool;
    this.#directory = directory;
  }

  static async start(): Promise<BoundaryBenchCluster> {
    const kwok = await ensureTool('kwok', { onProgress: (line) => process.stderr.write(`${line}\n`) });
    const plane = await startControlPlane({ onProgress: (line) => process.stderr.write(`${line}\n`) });
    const { certPem, keyPem } = plane.adminCertificate;
    const pool = new Pool(plane.url, { connections: 32, connect: { ca: plane.caPem, cert: certPem, key: keyPem } });
    const cluster = new BoundaryBenchCluster(plane, pool, await mkdtemp(join(tmpdir(), 'mercato-bench-')));
    await cluster.#install();
    cluster.#spawn('kwok', kwok, ['--kubeconfig', plane.kubeconfigPath, '--manage-all-nodes=true']);
    await cluster.#fill();
    return cluster;
  }

  async #install(): Promise<void> {
    const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await this.request('POST', crd, crdOf(pciBoundary));
    await until(
      async () => {
        const { status } = (await this.request('GET', `${crd}/${crdName(pciBoundary)}`)) as {
          status?: { conditions?: { type: string; status: string }[] };
        };
        return (
          status?.conditions?.some(({ type, status: holds }) => type === 'Established' && holds === 'True') ?? false
        );
      },
      'the kind is established',
      30_000,
    );
    for (const object of admission()) {
      const plural = `${object.kind.toLowerCase().replace(/policy$/, 'policie')}s`;
      await this.request('POST', `/apis/admissionregistration.k8s.io/v1/${plural}`, object);
    }
    await this.#namespace(SYSTEM, {});
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const metadata = { name: SYSTEM };
    const subjects = [{ kind: 'ServiceAccount', name: SYSTEM, namespace: SYSTEM }];
    const roleRef = (kind: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name: SYSTEM });
    await this.request('POST', `${rbac}/clusterroles`, { metadata, rules: clusterRights });
    await this.request('POST', `${rbac}/clusterrolebindings`, { metadata, roleRef: roleRef('ClusterRole'), subjects });
    await this.request('POST', `${rbac}/namespaces/${SYSTEM}/roles`, { metadata, rules: namespaceRights });
    await this.request('POST', `${rbac}/namespaces/${SYSTEM}/rolebindings`, {
      metadata,
      roleRef: roleRef('Role'),
      subjects,
    });
  }

  /** Nodes, namespaces, pods and boundaries. */
  async #fill(): Promise<void> {
    for (let n = 0; n < NODES; n++) await this.request('POST', '/api/v1/nodes', nodeOf(n));
    for (let n = 0; n < BOUNDARIES; n++) await this.#namespace(cardNamespace(n), { 'mercato.dev/card-data': 'true' });
    for (let n = 0; n < ELSEWHERE; n++) await this.#namespace(callerNamespace(n), {});
    await concurrently(SIZE.pods, 16, async (n) => {
      const inCard = n < BOUNDARIES * CARD_PODS;
      const namespace = inCard ? cardNamespace(n % BOUNDARIES) : callerNamespace(n);
      await this.request('POST', `/api/v1/namespaces/${namespace}/pods`, podOf(n, namespace, inCard));
    });
    for (let n = 0; n < BOUNDARIES; n++)
      await this.request('POST', '/apis/mercato.dev/v1alpha1/pciboundaries', boundaryOf(n));
    await until(async () => (await this.#runningPods()) >= SIZE.pods, 'all pods run', 180_000);
  }

  async #namespace(name: string, labels: object): Promise<void> {
    await this.request('POST', '/api/v1/namespaces', { metadata: { name, labels } });
    const account = { metadata: { name: 'default' } };
    await this.request('POST', `/api/v1/namespaces/${name}/serviceaccounts`, account);
  }

  async #runningPods(): Promise<number> {
    const path = '/api/v1/pods?fieldSelector=status.phase%3DRunning&limit=1';
    const { items, metadata } = (await this.request('GET', path)) as {
      items: unknown[];
      metadata: { remainingItemCount?: number };
    };
    // With a field selector the API server does not count what remains.
    if (metadata.remainingItemCount !== undefined) return items.length + metadata.remainingItemCount;
    const all = (await this.request('GET', path.replace('&limit=1', ''))) as { items: unknown[] };
    return all.items.length;
  }

  /** Starts the controller and waits until every policy stands and every boundary says so. */
  async startController(): Promise<void> {
    const user = `system:serviceaccount:${SYSTEM}:${SYSTEM}`;
    const kubeconfig = join(this.#directory, 'kubeconfig');
    const groups = ['system:serviceaccounts', 'system:authenticated'];
    await writeFile(kubeconfig, await this.plane.kubeconfigYaml({ user, groups }), { mode: 0o600 });
    const port = await freePort();
    this.#health = `http://127.0.0.1:${port}`;
    const main = new URL('../boundary/src/main.ts', import.meta.url).pathname;
    const flags = ['--kubeconfig', kubeconfig, '--health-address', `127.0.0.1:${port}`];
    this.#spawn('controller', process.execPath, [main, ...flags], { ...process.env, ...ENVIRONMENT });
    await until(
      async () => (await this.metric('mercato_boundary_condition', 'type="Accepted",status="True"')) === BOUNDARIES,
      'every boundary is accepted',
      180_000,
    );
  }

  #spawn(name: string, program: string, args: readonly string[], env = process.env): void {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    child.stderr?.pipe(createWriteStream(join(this.#directory, `${name}.log`)));
    this.#children.push(child);
  }

  /** The sum of a metric of the controller over the samples whose labels include these; NaN while it does not answer. */
  async metric(name: string, labels = ''): Promise<number> {
    try {
      const text = await (await fetch(`${this.#health}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        .filter((line) => line.includes(labels))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    } catch {
      return Number.NaN;
    }
  }

  /** One request by the administrator. @throws Error unless the answer is 2xx, or 404 to a GET, which is undefined */
  async request(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
    const { statusCode, body: answer } = await this.#pool.request({
      method,
      path,
      headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (method === 'GET' && statusCode === 404) return undefined;
    if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode} ${text.slice(0, 300)}`);
    return JSON.parse(text);
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('exit', resolve));
    }
    await this.#pool.destroy();
    await this.plane.stop();
    if (process.env['BENCH_KEEP'] === undefined) await rm(this.#directory, { recursive: true, force: true });
  }
}

function nodeOf(n: number): object {
  const name = `node-${n}`;
  const card = n < NODES / 4;
  const taints = card ? [{ key: 'mercato.dev/card-data', value: 'true', effect: 'NoSchedule' }] : [];
  const labels = { 'kubernetes.io/hostname': name, ...(card && { 'mercato.dev/card-data': 'true' }) };
  return { metadata: { name, labels }, spec: { taints } };
}

/** A pod as large as those of real services are: some 4 KB as JSON. */
function podOf(n: number, namespace: string, card: boolean): object {
  const service = `service-${n % RULES}`;
  const security = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const resources = { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } };
  const probe = { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 5 };
  const env = Array.from({ length: 12 }, (_, index) => ({
    name: `SETTING_${index}`,
    value: `value-${index}`.repeat(4),
  }));
  const container = (name: string, port: number) => ({
    name,
    image: `registry.example/shop/${name}@sha256:${'0123456789abcdef'.repeat(4)}`,
    ports: [{ name: 'http', containerPort: port }],
    env,
    resources,
    readinessProbe: probe,
    securityContext: security,
  });
  return {
    metadata: {
      name: `${service}-${n}`,
      namespace,
      labels: {
        'app.kubernetes.io/name': service,
        'app.kubernetes.io/part-of': 'mercato',
        'app.kubernetes.io/component': 'service',
        'pod-template-hash': '7c9d8f6b5d',
      },
      annotations: { 'prometheus.io/scrape': 'true', 'example.org/config-hash': 'f'.repeat(64) },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${service}-7c9d8f6b5d`,
          uid: '00000000-0000-4000-8000-000000000001',
        },
      ],
    },
    spec: {
      nodeName: `node-${card ? n % (NODES / 4) : NODES / 4 + (n % (NODES - NODES / 4))}`,
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
      containers: [container(service, 8080), container('sidecar', 9090)],
      ...(card && { tolerations: [{ key: 'mercato.dev/card-data', operator: 'Exists', effect: 'NoSchedule' }] }),
    },
  };
}

function boundaryOf(n: number): object {
  const own = (index: number) => ({
    namespace: cardNamespace(n),
    podLabels: { 'app.kubernetes.io/name': `service-${index}` },
  });
  const other = (index: number) => ({
    namespace: callerNamespace(n + index),
    podLabels: { 'app.kubernetes.io/name': `service-${index}` },
  });
  const ports = [{ port: 8080 }];
  const rules = Array.from({ length: RULES }, (_, index) => ({ name: `way-${index}`, ports, why: 'a benchmark' }));
  return {
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'PciBoundary',
    metadata: { name: `boundary-${n}` },
    spec: {
      namespaces: [cardNamespace(n)],
      ingress: rules.map((rule, index) => ({ ...rule, from: other(index), to: own(index) })),
      egress: rules.map((rule, index) => ({ ...rule, from: own(index), to: { pods: other(index + 1) } })),
      dns: { pods: { namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' } } },
    },
  };
}
