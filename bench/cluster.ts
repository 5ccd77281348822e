import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import { NODE_OPTIONS } from '@mercato/operator/node-options.ts';
import { Pool } from 'undici';
import { parse, stringify } from 'yaml';
import { INPUT } from './order.ts';

const ROOT = new URL('../', import.meta.url);
const RUNS = '/apis/mercato.dev/v1alpha1/namespaces/default/ordersagaruns';

/** A control plane with CRDs and the checkout saga in it, durable writes on, and no-op participants in a process of their own. */
export class BenchCluster {
  readonly plane: ControlPlane;
  readonly pool: Pool;
  readonly #directory: string;
  readonly #participant: ChildProcess;
  #operator: ChildProcess | undefined;
  #health = '';

  private constructor(plane: ControlPlane, pool: Pool, directory: string, participant: ChildProcess) {
    this.plane = plane;
    this.pool = pool;
    this.#directory = directory;
    this.#participant = participant;
  }

  /** @param saga what differs from examples/ordersaga-checkout.yaml @param participant flags of noop-participant.ts */
  static async start(saga: object, flags: readonly string[] = []): Promise<BenchCluster> {
    const plane = await startControlPlane({ onProgress: (line) => process.stderr.write(`${line}\n`) });
    const directory = await mkdtemp(join(tmpdir(), 'mercato-bench-'));
    const { certPem, keyPem } = plane.adminCertificate;
    const pool = new Pool(plane.url, { connections: 32, connect: { ca: plane.caPem, cert: certPem, key: keyPem } });
    const participant = spawn(process.execPath, [path('bench/noop-participant.ts'), ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = await firstLine(participant);
    const cluster = new BenchCluster(plane, pool, directory, participant);
    await cluster.#install(saga, url);
    return cluster;
  }

  async #install(saga: object, url: string): Promise<void> {
    const crds = (await readdir(new URL('crds/', ROOT))).map((file) => `crds/${file}`);
    for (const file of [...crds, 'deploy/roles.yaml', 'deploy/operator.yaml']) {
      await this.plane.kubectl(['apply', '--server-side', '-f', path(file)]);
    }
    await this.plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    const participants = (await readFile(new URL('examples/participants.yaml', ROOT), 'utf8')).replaceAll(
      /url: http:\/\/127.0.0.1:[0-9]+/g,
      `url: ${url}`,
    );
    await this.#apply(participants);
    const checkout = parse(await readFile(new URL('examples/ordersaga-checkout.yaml', ROOT), 'utf8')) as {
      spec: object;
    };
    await this.#apply(stringify({ ...checkout, spec: { ...checkout.spec, ...saga } }));
  }

  async #apply(manifest: string): Promise<void> {
    // Types that were just established may take a moment until they are served.
    for (let attempt = 1; ; attempt++) {
      try {
        await this.plane.kubectl(['apply', '--server-side', '-n', 'default', '-f', '-'], manifest);
        return;
      } catch (error) {
        if (attempt === 20) throw error;
        await sleep(250);
      }
    }
  }

  /** Starts the operator as a process of its own, under its own rights, and waits until it leads. @param node flags for Node.js */
  async startOperator(flags: readonly string[] = [], node: readonly string[] = []): Promise<void> {
    if (this.#operator !== undefined) return;
    const kubeconfig = join(this.#directory, 'operator.kubeconfig');
    const user = 'system:serviceaccount:mercato-system:mercato-operator';
    await writeFile(
      kubeconfig,
      await this.plane.kubeconfigYaml({ user, groups: ['system:serviceaccounts', 'system:authenticated'] }),
      { mode: 0o600 },
    );
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    this.#health = `http://127.0.0.1:${port}`;
    const args = [
      ...node,
      path('operator/src/main.ts'),
      '--kubeconfig',
      kubeconfig,
      '--health-address',
      `127.0.0.1:${port}`,
      ...flags,
    ];
    const log = createWriteStream(join(this.#directory, 'operator.log'), { flags: 'a' });
    this.#operator = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NODE_OPTIONS },
    });
    this.#operator.stderr?.pipe(log);
    await until(async () => (await this.metric('leader_election_master_status')) === 1, 'the operator leads', 30_000);
  }

  get operatorPid(): number {
    return this.#operator?.pid ?? 0;
  }

  get operatorLog(): string {
    return join(this.#directory, 'operator.log');
  }

  async stopOperator(): Promise<void> {
    const operator = this.#operator;
    if (operator === undefined) return;
    operator.kill('SIGTERM');
    await new Promise((resolve) => operator.once('exit', resolve));
    this.#operator = undefined;
  }

  /** The sum of a metric of the operator over its labels; NaN while it does not answer. */
  async metric(name: string): Promise<number> {
    try {
      const text = await (await fetch(`${this.#health}/metrics`)).text();
      const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    } catch {
      return Number.NaN;
    }
  }

  /** One request by the pooled raw client. @throws Error unless the answer is 2xx */
  async request(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', where: string, body?: unknown): Promise<unknown> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const { statusCode, body: answer } = await this.pool.request({
      method,
      path: where,
      headers: { 'content-type': type },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (statusCode >= 300) throw new Error(`${method} ${where}: ${statusCode} ${text.slice(0, 300)}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  async createRun(
    orderId: string,
    finalizers: readonly string[] = ['mercato.dev/run'],
  ): Promise<{ metadata: { resourceVersion: string } }> {
    return (await this.request('POST', RUNS, runOf(orderId, finalizers))) as { metadata: { resourceVersion: string } };
  }

  async stop(): Promise<void> {
    await this.stopOperator();
    this.#participant.kill('SIGTERM');
    await this.pool.destroy();
    await this.plane.stop();
    if (process.env['BENCH_KEEP'] === undefined) await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Where runs are, with the name of one. */
export function runPath(orderId: string, subresource = ''): string {
  return `${RUNS}/checkout-${orderId}${subresource}`;
}

/** A run's object. */
function runOf(orderId: string, finalizers: readonly string[]): object {
  return {
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'OrderSagaRun',
    metadata: { name: `checkout-${orderId}`, namespace: 'default', finalizers },
    spec: {
      sagaRef: { name: 'checkout' },
      orderId,
      input: INPUT,
    },
  };
}

/** Runs `job` for 0..count-1, so many at a time. */
export async function concurrently(count: number, width: number, job: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** @throws Error when it does not come true in time */
export async function until(wanted: () => Promise<boolean>, what: string, millis: number): Promise<void> {
  const end = performance.now() + millis;
  while (!(await wanted())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${millis} ms`);
    await sleep(50);
  }
}

export function sleep(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

function path(file: string): string {
  return new URL(file, ROOT).pathname;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the child has no output');
  for await (const line of createInterface(child.stdout)) return line;
  throw new Error('the child ended without a word');
}
