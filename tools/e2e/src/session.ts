import { IMAGES } from '@mercato/images/list.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { type Capabilities, capabilitiesOf } from './capabilities.ts';
import { type Cluster, clientOf, findCluster } from './cluster.ts';
import { type Images, imagesFor } from './deploy.ts';
import { Objects } from './objects.ts';

/** What every test on a cluster begins with. */
export interface Session {
  readonly cluster: Cluster;
  readonly client: KubeClient;
  readonly objects: Objects;
  readonly able: Capabilities;
  readonly images: Images;
  close(): Promise<void>;
}

/**
 * Finds the cluster, and brings it the images of the working tree; what was built before is not built again. `TAG` and `REGISTRY` name others.
 *
 * @param wanted names of the images that are needed. @default all
 * @throws NoClusterError that says what to install; DeployError
 */
export async function openSession(wanted?: readonly string[]): Promise<Session> {
  const say = (line: string) => void process.stdout.write(`      ${line.trim()}\n`);
  const cluster = await findCluster(say);
  const client = clientOf(cluster);
  try {
    const objects = new Objects(client);
    const able = await capabilitiesOf(client, objects);
    const { TAG: tag, REGISTRY: registry } = process.env;
    const some = wanted === undefined ? IMAGES : IMAGES.filter(({ name }) => wanted.includes(name));
    const images = await imagesFor(cluster, { tag: tag || undefined, registry: registry || undefined }, say, some);
    return { cluster, client, objects, able, images, close: () => client.transport.close() };
  } catch (error) {
    await client.transport.close();
    throw error;
  }
}
