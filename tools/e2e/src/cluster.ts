import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Builder } from '@mercato/images/builders/builder.ts';
import { clusterTool } from '@mercato/images/builders/clustertool.ts';
import { dockerLike } from '@mercato/images/builders/docker.ts';
import { clusterToolPath } from '@mercato/images/builders/find.ts';
import { run, succeeds } from '@mercato/images/run.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { configFromFile } from '@mercato/operator/kube/config.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import { parse } from 'yaml';
import { INSTALL_KIND, kindClusterExists, kindUp, loadIntoKind } from './kind.ts';

/** The repository's root. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** What kind runs under, and the tool for machines without Docker. */
export type Provider = 'given' | 'kind' | 'tool';

/** The cluster that is worked on. */
export interface Cluster {
  /** `given`: KUBECONFIG says it, and nothing is known of it. */
  readonly provider: Provider;
  /** One file. */
  readonly kubeconfig: string;
  /** How people call it. */
  readonly name: string;
  /** What builds images for it. Undefined when images can only come to it from a registry. */
  readonly builder: Builder | undefined;
  /** Brings images that were built here to its nodes. */
  load(references: readonly string[]): Promise<void>;
}

/** There is no cluster here, and nothing to start one with. */
export class NoClusterError extends Error {
  override readonly name = 'NoClusterError';
}

/** What is there to choose from. */
export interface Surroundings {
  /** `KUBECONFIG` */
  readonly kubeconfig: string | undefined;
  readonly hasDocker: boolean;
  readonly hasKind: boolean;
  /** The kind cluster of `make kind-up` runs. */
  readonly kindRuns: boolean;
  /** Path of the tool for machines without Docker. */
  readonly tool: string | undefined;
  /** The tool's own kubeconfig. */
  readonly toolKubeconfig: string | undefined;
}

/** A choice: which provider, and whether the cluster has to be started first. */
export interface Choice {
  readonly provider: Provider;
  readonly start: boolean;
}

/** Which cluster to use: what KUBECONFIG says; else kind, where Docker is; else the tool for machines without. Pure. @throws NoClusterError */
export function choose(found: Surroundings): Choice {
  const { kubeconfig, hasDocker, hasKind, kindRuns, tool, toolKubeconfig } = found;
  if (kubeconfig !== undefined)
    return { provider: tool !== undefined && kubeconfig === toolKubeconfig ? 'tool' : 'given', start: false };
  if (hasDocker && hasKind) return { provider: 'kind', start: !kindRuns };
  if (tool !== undefined) return { provider: 'tool', start: true };
  if (hasDocker) throw new NoClusterError(`no cluster: Docker is here and kind is not. ${INSTALL_KIND}`);
  throw new NoClusterError(
    `no cluster: set KUBECONFIG to the file of one, or install Docker (https://docs.docker.com/engine/install/) and kind. ${INSTALL_KIND}`,
  );
}

/**
 * The cluster of this machine, started if it has to be.
 *
 * @param say hears what takes time
 * @throws NoClusterError that says what to install; CommandError
 */
export async function findCluster(say: (line: string) => void, env: NodeJS.ProcessEnv = process.env): Promise<Cluster> {
  const tool = clusterToolPath(ROOT, env);
  const named = (env['KUBECONFIG'] ?? '').split(':').find((path) => path !== '');
  const hasDocker = named === undefined && (await succeeds('docker', ['info']));
  const hasKind = hasDocker && (await succeeds('kind', ['version']));
  const { provider, start } = choose({
    kubeconfig: named,
    hasDocker,
    hasKind,
    kindRuns: hasKind && (await kindClusterExists()),
    tool,
    toolKubeconfig: tool === undefined ? undefined : (await run(tool, ['kubeconfig'])).trim(),
  });
  if (provider === 'kind') {
    if (start) await kindUp(say);
    return kindCluster();
  }
  if (provider === 'tool' && tool !== undefined) {
    if (start) say('starting a cluster (the first time takes ten minutes)');
    return toolCluster(tool, start ? (await run(tool, ['up'], { timeoutMs: 1_800_000 })).trim() : named!);
  }
  return givenCluster(named!);
}

/** kind's own nodes take images from Docker. */
async function kindCluster(): Promise<Cluster> {
  const kubeconfig = join(ROOT, '.mercato', 'kind.kubeconfig');
  await mkdir(dirname(kubeconfig), { recursive: true });
  await writeFile(kubeconfig, await run('kind', ['get', 'kubeconfig', '--name', 'mercato']), { mode: 0o600 });
  return {
    provider: 'kind',
    kubeconfig,
    name: 'kind cluster mercato',
    builder: dockerLike('docker'),
    load: (references) => loadIntoKind('mercato', references),
  };
}

function toolCluster(tool: string, kubeconfig: string): Cluster {
  // It builds into the node: there is nothing to load.
  return { provider: 'tool', kubeconfig, name: 'local node', builder: clusterTool(tool), load: async () => {} };
}

/** A cluster of KUBECONFIG is kind's if its context says so, as kind names them. */
async function givenCluster(kubeconfig: string): Promise<Cluster> {
  const text = await readFile(kubeconfig, 'utf8').catch((error: Error) => {
    throw new NoClusterError(`KUBECONFIG names ${kubeconfig}, which cannot be read: ${error.message}`);
  });
  const { 'current-context': context = '' } = parse(text) as {
    'current-context'?: string;
  };
  const kind = /^kind-(.+)$/.exec(context)?.[1];
  if (kind !== undefined && (await succeeds('docker', ['info'])))
    return {
      provider: 'kind',
      kubeconfig,
      name: `kind cluster ${kind}`,
      builder: dockerLike('docker'),
      load: (references) => loadIntoKind(kind, references),
    };
  const load = async () => {
    throw new NoClusterError(
      'this cluster takes images from a registry only: make images PUSH=1 REGISTRY=..., then make deploy REGISTRY=... TAG=...',
    );
  };
  return { provider: 'given', kubeconfig, name: context || kubeconfig, builder: undefined, load };
}

/** A client as the kubeconfig says, over pooled connections. To be closed by its transport. */
export function clientOf({ kubeconfig }: Pick<Cluster, 'kubeconfig'>): KubeClient {
  const transport = createTransport(configFromFile(kubeconfig), { userAgent: 'mercato-e2e' });
  return new KubeClient(transport, { fieldManager: 'mercato-e2e' });
}
