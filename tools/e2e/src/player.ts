import { ensureBinaries } from '@mercato/controlplane';
import type { Result } from '@mercato/demo/incluster.ts';
import type { Journal } from '@mercato/demo/local/programs.ts';
import { run } from '@mercato/images/run.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import type { Cluster } from './cluster.ts';
import { jobs, podSecurity, pods, RESTRICTED_CONTAINER, RESTRICTED_POD, troubleOf } from './kube.ts';
import { type Manifest, Objects, until } from './objects.ts';

/** Where the player runs: beside the shop, not in it, so that it needs no exception from the shop's own policies. */
export const PLAYER_NAMESPACE = 'mercato-e2e';
/** The player's service account; its tokens are what the order service and inventory's administration see. */
export const PLAYER_ACCOUNT = 'mercato-player';
/** As tokens say it. */
export const PLAYER_SUBJECT = `system:serviceaccount:${PLAYER_NAMESPACE}:${PLAYER_ACCOUNT}`;

/** How orders are played. */
export interface PlayOptions {
  /** Of mercato/tools. */
  readonly image: string;
  readonly orders: number;
  /** Percent of them that are placed with the order service; the others are applied. @default 50 */
  readonly placed?: number;
  /** Orders more that end up held. @default none */
  readonly held?: number;
  /** Orders more that are placed, and cancelled at once. @default none */
  readonly cancelled?: number;
  /** Where the operator has its runs. Where they are no objects, all orders are to be placed. @default kubernetes */
  readonly journal?: Journal;
  /** How long the day takes. */
  readonly seconds: number;
  readonly seed: string;
  /** Up to eight lower-case letters and digits, another for each play on the same stores. */
  readonly mark: string;
  /** @default mercato-shop */
  readonly shop?: string;
  /** Where the operator's exception records are. @default mercato-system */
  readonly system?: string;
}

/** Where the player listens for what customers are told. */
const LISTENS = 8080;

/**
 * Values of the chart `mercato` that let the player in: inventory and the order service believe its tokens, and its pods may call these two and the
 * simulated companies; and it subscribes to what customers are told of their orders.
 * Test installations only.
 */
export function playerValues(): Record<string, unknown> {
  const callers = [
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': PLAYER_NAMESPACE } },
      podSelector: { matchLabels: { 'app.kubernetes.io/name': PLAYER_ACCOUNT } },
    },
  ];
  const believed = { allowedSubjects: [PLAYER_SUBJECT], callers };
  const announceTo = {
    addresses: [`http://${PLAYER_ACCOUNT}.${PLAYER_NAMESPACE}.svc:${LISTENS}/events`],
    peers: callers,
    ports: [LISTENS],
  };
  return { inventory: believed, order: { ...believed, announceTo }, acquirer: { callers }, carrier: { callers } };
}

const LABELS = { 'app.kubernetes.io/name': PLAYER_ACCOUNT, 'app.kubernetes.io/part-of': 'mercato' };

/** The player's namespace, account, address and rights: to create what a shop is made of, and to read what became of it. */
export function playerRights(shop = 'mercato-shop', system = 'mercato-system'): Manifest[] {
  const rule = (apiGroups: string[], resources: string[], verbs: string[], resourceNames?: string[]) => ({
    apiGroups,
    resources,
    verbs,
    ...(resourceNames === undefined ? {} : { resourceNames }),
  });
  const kinds = ['participants', 'ordersagas', 'warehouseinventories', 'stockadjustments', 'restockorders'];
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: PLAYER_NAMESPACE, labels: podSecurity('restricted') } },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: PLAYER_ACCOUNT, namespace: PLAYER_NAMESPACE, labels: LABELS },
    },
    // Its address for whoever tells it of orders: that of the day that is being played.
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: PLAYER_ACCOUNT, namespace: PLAYER_NAMESPACE, labels: LABELS },
      spec: { selector: { 'app.kubernetes.io/name': PLAYER_ACCOUNT }, ports: [{ name: 'http', port: LISTENS }] },
    },
    // Tokens of its own for inventory and for the order service.
    ...granted(PLAYER_NAMESPACE, [rule([''], ['serviceaccounts/token'], ['create'], [PLAYER_ACCOUNT])]),
    ...granted(shop, [
      rule(['mercato.dev'], kinds, ['get', 'list', 'create', 'patch']),
      rule(['mercato.dev'], ['ordersagaruns'], ['get', 'list', 'watch', 'create']),
    ]),
    // Exception records.
    ...granted(system, [rule([''], ['configmaps'], ['list'])]),
  ];
}

function granted(namespace: string, rules: readonly unknown[]): Manifest[] {
  const metadata = { name: PLAYER_ACCOUNT, namespace, labels: LABELS };
  const group = 'rbac.authorization.k8s.io';
  return [
    { apiVersion: `${group}/v1`, kind: 'Role', metadata, rules },
    {
      apiVersion: `${group}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: group, kind: 'Role', name: PLAYER_ACCOUNT },
      subjects: [{ kind: 'ServiceAccount', name: PLAYER_ACCOUNT, namespace: PLAYER_NAMESPACE }],
    },
  ];
}

/** The Job that plays one day. It is not tried again: a second try would not know what the first one sent. */
export function playerJob(options: PlayOptions): Manifest {
  const { image, orders, placed = 50, held = 0, cancelled = 0, journal = 'kubernetes' } = options;
  const { seconds, seed, mark, shop = 'mercato-shop' } = options;
  const announcer = `system:serviceaccount:${shop}:order`;
  const listen = `0.0.0.0:${LISTENS}`;
  const flags = { orders, placed, held, cancelled, seconds, seed, mark, namespace: shop, journal, listen, announcer };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: `player-${mark}`, namespace: PLAYER_NAMESPACE, labels: LABELS },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { labels: LABELS },
        spec: {
          restartPolicy: 'Never',
          serviceAccountName: PLAYER_ACCOUNT,
          securityContext: RESTRICTED_POD,
          containers: [
            {
              name: 'player',
              image,
              workingDir: '/app',
              args: [
                'tools/demo/src/incluster.ts',
                ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
              ],
              ports: [{ name: 'http', containerPort: LISTENS }],
              resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
              securityContext: RESTRICTED_CONTAINER,
            },
          ],
        },
      },
    },
  };
}

/** How long a log may take to be read: kubelet is asked, on a node that is busy. */
const LOG_MS = 120_000;

/** A day that is being played. */
export interface Play {
  readonly job: string;
  /** What the player has written so far. Empty before it runs. */
  log(): Promise<string>;
  /** Waits for the player's end. @throws NotSoError with the pod's trouble; Error with its last lines when it ends without a result */
  result(timeoutMs?: number): Promise<{ readonly isConserved: boolean; readonly result: Result; readonly log: string }>;
}

/** Starts a play in the cluster: its rights, and its Job. Answers at once. */
export async function startPlay(cluster: Cluster, client: KubeClient, options: PlayOptions): Promise<Play> {
  const objects = new Objects(client);
  await objects.applyAll(playerRights(options.shop, options.system));
  const job = playerJob(options);
  const name = job.metadata.name;
  await objects.removeAll([job]);
  await objects.apply(job);
  const place = { namespace: PLAYER_NAMESPACE, name };
  const log = () => logOf(cluster, `job/${name}`);
  const trouble = async () => {
    const labelSelector = `batch.kubernetes.io/job-name=${name}`;
    const { items } = await client.list(pods, { namespace: PLAYER_NAMESPACE, labelSelector });
    return items.length === 0
      ? `no pod: kubectl describe job ${name} -n ${PLAYER_NAMESPACE}`
      : items.map(troubleOf).join('; ');
  };
  return {
    job: name,
    log,
    result: async (timeoutMs = (options.seconds + 600) * 1000) => {
      let isConserved = false;
      const isOver = async () => {
        const { status } = await client.get(jobs, place);
        isConserved = (status?.succeeded ?? 0) > 0;
        return isConserved || (status?.failed ?? 0) > 0;
      };
      await until(`the player ${name} has ended`, timeoutMs, isOver, trouble);
      const text = await wholeLogOf(cluster, `job/${name}`);
      return { isConserved, result: resultIn(text), log: text };
    },
  };
}

/** The result that the player's last line is. Pure. @throws Error with what it wrote last */
export function resultIn(log: string): Result {
  const last = log.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`the player ended without a result; it wrote last:\n${log.slice(-2_000)}`);
  return JSON.parse(last) as Result;
}

/** What the pod of a Job wrote that has ended, once it can be read. @throws NotSoError */
export async function wholeLogOf(cluster: Pick<Cluster, 'kubeconfig'>, what: string): Promise<string> {
  let text = '';
  await until(`the log of ${what} can be read`, LOG_MS, async () => {
    text = await logOf(cluster, what);
    return text !== '';
  });
  return text;
}

/** What a pod has written, or `job/...`'s. Empty while there is nothing to read. */
export async function logOf(
  cluster: Pick<Cluster, 'kubeconfig'>,
  what: string,
  namespace = PLAYER_NAMESPACE,
): Promise<string> {
  const kubectl = (await ensureBinaries(['kubectl'])).get('kubectl')!;
  const args = ['--kubeconfig', cluster.kubeconfig, '--namespace', namespace, 'logs', what, '--all-containers'];
  return run(kubectl, args, { timeoutMs: 30_000 }).catch(() => '');
}
