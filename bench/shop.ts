import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '@mercato/controlplane';
import { freePort } from '@mercato/controlplane/ports.ts';
import {
  applyManifest,
  install,
  type Manifest,
  OBSERVER_ACCOUNT,
  readManifests,
  SHIPPING_ACCOUNT,
  SYSTEM_NAMESPACE,
} from '@mercato/demo/local/install.ts';
import { OPERATOR_IDENTITY } from '@mercato/demo/local/programs.ts';
import { clientOf } from '@mercato/demo/local/shop.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { WORKER_NODE_OPTIONS } from '@mercato/operator/node-options.ts';
import { CALLER } from '@mercato/operator/rights.ts';
import { Fleet, type Member } from './fleet.ts';

/** Where orders' runs live. */
export const NAMESPACE = 'default';
const ORDER_ACCOUNT = 'mercato-order';
/** Longer than any benchmark. Seconds. */
const TOKEN_SECONDS = 6 * 3_600;

const userOf = (account: string) => `system:serviceaccount:${SYSTEM_NAMESPACE}:${account}`;

/** How a shop is started. */
export interface ShopOptions {
  /** Where announcements to customers go. */
  readonly subscriber: string;
  /** Flags of the operator beside its addresses. @default the sqlite journal */
  readonly journal?: readonly string[];
  /** How long runs that ended are kept. @default as the example's saga says */
  readonly ttl?: string;
  /** Processes of the operator, instead of one with `journal`. */
  readonly operators?: readonly OperatorProcess[];
  /** Where the order service sends its events, of several operators' intakes. @default the first */
  readonly intake?: (addresses: readonly string[]) => Promise<string>;
  /** Added to the environment of every service. */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to the environment of one program, by its name. */
  readonly envOf?: (name: string) => Readonly<Record<string, string>>;
  readonly plane?: Omit<ControlPlaneOptions, 'dir' | 'detached'>;
}

/** A process of the operator. */
export interface OperatorProcess {
  readonly name: string;
  /** Flags beside its addresses. */
  readonly args: readonly string[];
  /** Whether it takes orders in, and tells of their ends. */
  readonly takesIn: boolean;
}

/** The shop as its processes: each a program of its own, all on this machine, with tokens of the cluster as in production. */
export interface BenchShop {
  readonly fleet: Fleet;
  readonly plane: ControlPlane;
  readonly client: KubeClient;
  readonly urls: Readonly<
    Record<'order' | 'operator' | 'inventory' | 'payment' | 'shipping' | 'acquirer' | 'carrier', string>
  >;
  /** File with the token that customers' orders are sent with. */
  readonly customerToken: string;
  stop(): Promise<void>;
}

/**
 * Starts control plane, companies, participants, operator and order service.
 * @throws ComponentError with the last lines of the log of what failed
 */
export async function startBenchShop(directory: string, options: ShopOptions): Promise<BenchShop> {
  const fleet = new Fleet(directory);
  const plane = await startControlPlane({
    dir: join(directory, 'controlplane'),
    onProgress: (line) => process.stderr.write(`${line}\n`),
    ...options.plane,
  });
  const stop = async () => {
    await fleet.endAll();
    await plane.stop();
    await fleet.stop();
  };
  try {
    const client = await clientOf(plane);
    await install(client);
    const tokens = new Tokens(client, directory);
    const started = await startPrograms(fleet, plane, client, tokens, options);
    return {
      fleet,
      plane,
      client,
      ...started,
      stop: async () => {
        await client.transport.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPrograms(
  fleet: Fleet,
  plane: ControlPlane,
  client: KubeClient,
  tokens: Tokens,
  options: ShopOptions,
): Promise<Pick<BenchShop, 'urls' | 'customerToken'>> {
  const { subscriber, ttl, env = {} } = options;
  const { directory } = fleet;
  const start = (member: Member) => {
    const own = options.envOf?.(member.name) ?? {};
    const nodeOptions = [member.env?.['NODE_OPTIONS'] ?? '', own['NODE_OPTIONS'] ?? ''].join(' ').trim();
    const all = { ...member.env, ...own, ...(nodeOptions === '' ? {} : { NODE_OPTIONS: nodeOptions }) };
    return fleet.start({ ...member, env: all });
  };
  const files = { authority: join(directory, 'ca.crt'), kubeconfig: join(directory, 'operator.kubeconfig') };
  await writeFile(files.authority, plane.caPem);
  await writeFile(files.kubeconfig, await plane.kubeconfigYaml(OPERATOR_IDENTITY), { mode: 0o600 });
  const service = (audience: string) => ({
    MERCATO_TOKEN_ISSUER: plane.url,
    MERCATO_JWKS_URL: `${plane.url}/openid/v1/jwks`,
    MERCATO_JWKS_CA_FILE: files.authority,
    MERCATO_AUDIENCE: audience,
    MERCATO_ALLOWED_SUBJECTS: [CALLER, OBSERVER_ACCOUNT].map(userOf).join(','),
    LOG_LEVEL: 'warn',
    ...env,
  });
  const [acquirer, carrier] = await Promise.all([
    start({ name: 'acquirer', script: 'services/payment/src/acquirer/main.ts', readyPath: '/health' }),
    start({ name: 'carrier', script: 'services/shipping/src/carrier/main.ts', readyPath: '/health' }),
  ]);
  const inventory = await start({
    name: 'inventory',
    script: 'services/inventory/src/main.ts',
    env: { ...service('inventory'), MERCATO_EVENT_SENDERS: userOf(SHIPPING_ACCOUNT) },
  });
  const [payment, shipping] = await Promise.all([
    start({
      name: 'payment',
      script: 'services/payment/src/main.ts',
      env: { ...service('payment'), ACQUIRER_URL: acquirer },
    }),
    start({
      name: 'shipping',
      script: 'services/shipping/src/main.ts',
      env: {
        ...service('shipping'),
        CARRIER_URL: carrier,
        MERCATO_EVENT_SUBSCRIBERS: `${inventory}/events`,
        MERCATO_RELAY_TOKEN_FILE: await tokens.file(SHIPPING_ACCOUNT, 'inventory'),
      },
    }),
  ]);
  for (const manifest of await shopManifests({ inventory, payment, shipping }, ttl)) {
    await applyManifest(client, manifest, NAMESPACE);
  }
  const orderPort = await freePort();
  const order = `http://127.0.0.1:${orderPort}`;
  const journal = options.journal ?? [
    '--journal',
    'sqlite',
    '--journal-path',
    join(directory, 'operator', 'journal.sqlite'),
  ];
  const operators: string[] = [];
  const intakes: string[] = [];
  for (const each of options.operators ?? [{ name: 'operator', args: journal, takesIn: true }]) {
    const port = await freePort();
    const intake = `127.0.0.1:${await freePort()}`;
    const takesIn = {
      'intake-address': intake,
      'intake-subjects': userOf(ORDER_ACCOUNT),
      'announce-to': `${order}/events`,
    };
    const flags: Record<string, string> = {
      kubeconfig: files.kubeconfig,
      namespace: SYSTEM_NAMESPACE,
      'service-account': CALLER,
      'health-address': `127.0.0.1:${port}`,
      'log-level': 'warn',
      ...(each.takesIn ? takesIn : {}),
    };
    const url = await start({
      name: each.name,
      script: 'operator/src/main.ts',
      port,
      readyPath: '/readyz',
      env: { NODE_OPTIONS: WORKER_NODE_OPTIONS },
      args: [...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]), ...each.args],
    });
    operators.push(url);
    if (each.takesIn) intakes.push(`http://${intake}`);
  }
  const [operator = '', first = ''] = [operators[0], intakes[0]];
  const intake = (await options.intake?.(intakes)) ?? first;
  await start({
    name: 'order',
    script: 'services/order/src/main.ts',
    port: orderPort,
    env: {
      ...service('order'),
      MERCATO_NAMESPACE: NAMESPACE,
      MERCATO_INTAKE_URL: `${intake}/events`,
      MERCATO_INTAKE_TOKEN_FILE: await tokens.file(ORDER_ACCOUNT, 'mercato-operator'),
      MERCATO_EVENT_SENDERS: userOf(CALLER),
      MERCATO_EVENT_SUBSCRIBERS: subscriber,
    },
  });
  return {
    urls: { order, operator, inventory, payment, shipping, acquirer, carrier },
    customerToken: await tokens.file(OBSERVER_ACCOUNT, 'order'),
  };
}

/** The example's saga, and its participants at their actual addresses. */
async function shopManifests(urls: Readonly<Record<string, string>>, ttl: string | undefined): Promise<Manifest[]> {
  const participants = await readManifests('examples/participants.yaml');
  const saga = await readManifests('examples/ordersaga-checkout.yaml');
  const at = (manifest: Manifest): Manifest => ({
    ...manifest,
    spec: { ...(manifest.spec as object), url: urls[manifest.metadata.name] },
  });
  const kept = (manifest: Manifest): Manifest =>
    ttl === undefined
      ? manifest
      : {
          ...manifest,
          spec: { ...(manifest.spec as object), ttlAfterFinished: { succeeded: ttl, compensated: ttl, aborted: ttl } },
        };
  return [...participants.map(at), ...saga.map(kept)];
}

/** Tokens of service accounts, in files as the kubelet projects them. */
class Tokens {
  readonly #client: KubeClient;
  readonly #directory: string;

  constructor(client: KubeClient, directory: string) {
    this.#client = client;
    this.#directory = directory;
  }

  async file(account: string, audience: string): Promise<string> {
    const metadata = { namespace: SYSTEM_NAMESPACE, name: account };
    await applyManifest(this.#client, { apiVersion: 'v1', kind: 'ServiceAccount', metadata }, SYSTEM_NAMESPACE);
    const wish = { audiences: [audience], expirationSeconds: TOKEN_SECONDS };
    const { token } = await this.#client.createToken(metadata, wish);
    const path = join(this.#directory, `${randomBytes(6).toString('hex')}.token`);
    await writeFile(path, token, { mode: 0o600 });
    return path;
  }
}
