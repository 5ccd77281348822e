import type { Load } from '@mercato/demo/load/main.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import type { Cluster } from '../cluster.ts';
import { jobs, RESTRICTED_CONTAINER, RESTRICTED_POD } from '../kube.ts';
import { type Manifest, Objects, until } from '../objects.ts';
import { PLAYER_NAMESPACE, wholeLogOf } from '../player.ts';

/** Labels of the pods that send. */
export const SENDER = { 'app.kubernetes.io/name': 'mercato-load', 'app.kubernetes.io/part-of': 'mercato' };

/** Requests from inside the cluster, over the Service as any caller. */
export interface LoadOptions {
  readonly image: string;
  readonly name: string;
  readonly url: string;
  readonly rate: number;
  readonly seconds: number;
}

function loadJob({ image, name, url, rate, seconds }: LoadOptions): Manifest {
  const flags = { url, rate: String(rate), seconds: String(seconds) };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: PLAYER_NAMESPACE, labels: SENDER },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { labels: SENDER },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          securityContext: RESTRICTED_POD,
          containers: [
            {
              name: 'load',
              image,
              workingDir: '/app',
              args: [
                'tools/demo/src/load/main.ts',
                ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
              ],
              resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '256Mi' } },
              securityContext: RESTRICTED_CONTAINER,
            },
          ],
        },
      },
    },
  };
}

/** How long a pod may take to start, and what it wrote to be read. */
const STARTS_MS = 180_000;

/** Starts to send, and returns when it does. The namespace must be there (`playerRights`). @throws NotSoError */
export async function startLoad(cluster: Cluster, client: KubeClient, options: LoadOptions) {
  const objects = new Objects(client);
  const job = loadJob(options);
  await objects.removeAll([job]);
  await objects.apply(job);
  const place = { namespace: PLAYER_NAMESPACE, name: options.name };
  // What is done to the service next is to meet requests.
  await until(`${options.name} sends`, STARTS_MS, async () => {
    const { ready = 0, succeeded = 0, failed = 0 } = (await client.get(jobs, place)).status ?? {};
    return ready + succeeded + failed > 0;
  });
  return {
    /** Waits for the last answer. @throws NotSoError */
    result: async (): Promise<Load> => {
      await until(`${options.name} has sent all`, options.seconds * 1000 + STARTS_MS, async () => {
        const { status } = await client.get(jobs, place);
        return (status?.succeeded ?? 0) + (status?.failed ?? 0) > 0;
      });
      const log = await wholeLogOf(cluster, `job/${options.name}`);
      return JSON.parse(log.trimEnd().split('\n').at(-1) ?? '') as Load;
    },
    /** Ends it before its time. */
    stop: () => objects.removeAll([job]),
  };
}
