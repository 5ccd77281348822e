import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { succeeds } from '../run.ts';
import { buildah } from './buildah.ts';
import type { Builder } from './builder.ts';
import { clusterTool } from './clustertool.ts';
import { dockerLike } from './docker.ts';

/** There is nothing on this machine that builds images. */
export class NoBuilderError extends Error {
  override readonly name = 'NoBuilderError';
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The tool that runs a node without Docker: `MERCATO_CLUSTER_TOOL`, or beside the repository. Undefined when it is not there. */
export function clusterToolPath(root: string, env: Environment = process.env): string | undefined {
  const path = env['MERCATO_CLUSTER_TOOL'] ?? join(root, '..', 'shared', 'tools', 'cluster', 'cluster');
  return existsSync(path) ? path : undefined;
}

/**
 * What builds images here: `MERCATO_BUILDER`, or the first that works of docker, podman, the cluster tool, buildah. A docker command whose daemon
 * does not run is none.
 *
 * @throws NoBuilderError that says what to install
 */
export async function findBuilder(root: string, env: Environment = process.env): Promise<Builder> {
  const tool = clusterToolPath(root, env);
  const known: Record<string, () => Promise<Builder | undefined>> = {
    docker: async () => ((await succeeds('docker', ['info'])) ? dockerLike('docker') : undefined),
    podman: async () => ((await succeeds('podman', ['info'])) ? dockerLike('podman') : undefined),
    cluster: async () => (tool === undefined ? undefined : clusterTool(tool)),
    buildah: async () => ((await succeeds('buildah', ['info'])) ? buildah() : undefined),
  };
  const wish = env['MERCATO_BUILDER'];
  if (wish !== undefined && known[wish] === undefined)
    throw new NoBuilderError(`MERCATO_BUILDER=${wish}: one of ${Object.keys(known).join(', ')}`);
  for (const [name, find] of Object.entries(known)) {
    if (wish !== undefined && wish !== name) continue;
    const found = await find();
    if (found !== undefined) return found;
  }
  throw new NoBuilderError(
    wish === undefined
      ? 'nothing here builds images: start Docker, or install podman or buildah (apt-get install buildah)'
      : `MERCATO_BUILDER=${wish}, and ${wish} does not work here: try "${wish} info"`,
  );
}
