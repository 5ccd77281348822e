import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '@mercato/images/run.ts';

/** The cluster of `make kind-up`. */
export const KIND_CLUSTER = 'mercato';

const CONFIG = join(fileURLToPath(new URL('../../../', import.meta.url)), 'kind-config.yaml');

/** Whether the kind cluster is there. @throws CommandError without kind */
export async function kindClusterExists(name = KIND_CLUSTER): Promise<boolean> {
  return (await run('kind', ['get', 'clusters'])).split('\n').includes(name);
}

/** Starts the kind cluster of kind-config.yaml, if it does not run, and returns when its nodes are Ready. @throws CommandError */
export async function kindUp(say: (line: string) => void): Promise<void> {
  if (await kindClusterExists()) return say(`kind cluster ${KIND_CLUSTER} runs already`);
  say(`starting kind cluster ${KIND_CLUSTER}: a control plane and 4 workers`);
  await run('kind', ['create', 'cluster', '--config', CONFIG, '--wait', '5m'], { timeoutMs: 900_000 });
  say(`kind cluster ${KIND_CLUSTER} is up: kubectl --context kind-${KIND_CLUSTER} get nodes`);
}

/** Removes the kind cluster and all that is in it. Safe to repeat. @throws CommandError */
export async function kindDown(say: (line: string) => void): Promise<void> {
  if (!(await kindClusterExists())) return say(`there is no kind cluster ${KIND_CLUSTER}`);
  await run('kind', ['delete', 'cluster', '--name', KIND_CLUSTER]);
  say(`kind cluster ${KIND_CLUSTER} is gone`);
}

/** Brings images from Docker to every node of a kind cluster. kind itself skips what a node has. */
export async function loadIntoKind(name: string, references: readonly string[]): Promise<void> {
  await run('kind', ['load', 'docker-image', '--name', name, ...references]);
}
