import { randomBytes } from 'node:crypto';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { type Pod, podSecurity, pods, RESTRICTED_CONTAINER, RESTRICTED_POD, troubleOf } from './kube.ts';
import { type Manifest, Objects, until } from './objects.ts';

const PORT = 8080;
const PATIENCE_MS = 180_000;
/** How long a plug-in may take until a new policy holds. */
const HOLDS_AFTER_MS = 30_000;
/** So often in a row: a way that is open does not answer in time now and then where the machine is busy. */
const IN_A_ROW = 3;

/** Answers every connection. */
const SERVER = `require('node:http').createServer((_, answer) => answer.end('here')).listen(${PORT}, '0.0.0.0')`;

/** Ends with 0 once ADDRESS answers so often in a row (WANTED `open`), or does not answer so often (`closed`); with 3 if that does not come in time. */
const CLIENT = `
const { connect } = require('node:net');
const answers = () => new Promise((resolve) => {
  const socket = connect({ host: process.env.ADDRESS, port: ${PORT}, timeout: 2000 });
  const end = (is) => { socket.destroy(); resolve(is); };
  socket.on('connect', () => end(true)).on('timeout', () => end(false)).on('error', () => end(false));
});
(async () => {
  const deadline = Date.now() + ${HOLDS_AFTER_MS};
  let inARow = 0;
  while (Date.now() < deadline) {
    inARow = await answers() === (process.env.WANTED === 'open') ? inARow + 1 : 0;
    if (inARow === ${IN_A_ROW}) process.exit(0);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  process.exit(3);
})();`;

/**
 * Whether this cluster's network does what NetworkPolicies say: a pod is reached, then a policy denies it, and it is reached no more. Takes about
 * twenty seconds and leaves nothing behind.
 *
 * @param image any with Node in it
 * @throws NotSoError when pods do not start, or do not reach each other without a policy
 */
export async function enforcesPolicies(client: KubeClient, image: string): Promise<boolean> {
  const objects = new Objects(client);
  const namespace = `mercato-probe-${randomBytes(3).toString('hex')}`;
  const place: Manifest = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: podSecurity('restricted') },
  };
  try {
    await objects.apply(place);
    await objects.apply(nodePod(namespace, 'server', image, SERVER));
    const server = await untilPod(client, namespace, 'server', ({ status }) => status?.phase === 'Running');
    const ask = async (name: string, wanted: 'open' | 'closed') => {
      const env = { ADDRESS: server.status?.podIP ?? '', WANTED: wanted };
      await objects.apply(nodePod(namespace, name, image, CLIENT, env));
      const ended = await untilPod(client, namespace, name, ({ status }) => isOver(status?.phase));
      return ended.status?.phase === 'Succeeded';
    };
    if (!(await ask('before', 'open')))
      throw new Error(`pods of ${namespace} do not reach each other: no policy is there`);
    await objects.apply({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'deny', namespace },
      spec: { podSelector: {}, policyTypes: ['Ingress'] },
    });
    return await ask('after', 'closed');
  } finally {
    await objects.remove(place);
  }
}

/** A pod that runs a few lines of JavaScript under Pod Security "restricted". */
export function nodePod(
  namespace: string,
  name: string,
  image: string,
  script: string,
  env: Readonly<Record<string, string>> = {},
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { 'app.kubernetes.io/name': name } },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      securityContext: RESTRICTED_POD,
      containers: [
        {
          name: 'node',
          image,
          args: ['--eval', script],
          env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
          securityContext: RESTRICTED_CONTAINER,
        },
      ],
    },
  };
}

/** Waits for a pod, and says of one that does not come what is wrong with it. @throws NotSoError */
export async function untilPod(
  client: KubeClient,
  namespace: string,
  name: string,
  isSo: (pod: Pod) => boolean,
  timeoutMs = PATIENCE_MS,
): Promise<Pod> {
  let seen: Pod | undefined;
  const look = async () => {
    seen = await client.get(pods, { namespace, name });
    return isSo(seen);
  };
  await until(`pod ${namespace}/${name} is as expected`, timeoutMs, look, () => (seen ? troubleOf(seen) : ''));
  return seen!;
}

/** Whether a pod has ended. */
export function isOver(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}
