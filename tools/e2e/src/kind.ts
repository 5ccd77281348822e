import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandError, run } from '@mercato/images/run.ts';

/** The cluster of `make kind-up`. */
export const KIND_CLUSTER = 'mercato';

const CONFIG = join(fileURLToPath(new URL('../../../', import.meta.url)), 'kind-config.yaml');

/** What to do where kind is not. */
export const INSTALL_KIND =
  'Install kind: go install sigs.k8s.io/kind@v0.31.0, or https://kind.sigs.k8s.io; then: make kind-up';

/** kind is not on this machine; the message says how to install it. */
export class NoKindError extends Error {
  override readonly name = 'NoKindError';
}

/**
 * Whether the kind cluster is there.
 *
 * @param program other than kind, for tests. @default kind
 * @throws NoKindError without kind; CommandError
 */
export async function kindClusterExists(name = KIND_CLUSTER, program = 'kind'): Promise<boolean> {
  const clusters = await run(program, ['get', 'clusters']).catch((error: unknown) => {
    if (error instanceof CommandError && error.message.includes('cannot be run'))
      throw new NoKindError(`${error.message}. ${INSTALL_KIND}`);
    throw error;
  });
  return clusters.split('\n').includes(name);
}

/** Starts the kind cluster of kind-config.yaml, if it does not run, and returns when its nodes are Ready. @throws NoKindError; CommandError */
export async function kindUp(say: (line: string) => void): Promise<void> {
  if (await kindClusterExists()) return say(`kind cluster ${KIND_CLUSTER} runs already`);
  say(`starting kind cluster ${KIND_CLUSTER}: a control plane and 4 workers`);
  await run('kind', ['create', 'cluster', '--config', CONFIG, '--wait', '5m'], { timeoutMs: 900_000 });
  say(`kind cluster ${KIND_CLUSTER} is up: kubectl --context kind-${KIND_CLUSTER} get nodes`);
}

/** Removes the kind cluster and all that is in it. Safe to repeat. @throws NoKindError; CommandError */
export async function kindDown(say: (line: string) => void): Promise<void> {
  if (!(await kindClusterExists())) return say(`there is no kind cluster ${KIND_CLUSTER}`);
  await run('kind', ['delete', 'cluster', '--name', KIND_CLUSTER]);
  say(`kind cluster ${KIND_CLUSTER} is gone`);
}

/** Brings images from Docker to every node of a kind cluster. kind itself skips what a node has. */
export async function loadIntoKind(name: string, references: readonly string[]): Promise<void> {
  await run('kind', ['load', 'docker-image', '--name', name, ...references]);
}
