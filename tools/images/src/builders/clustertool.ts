import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { run } from '../run.ts';
import { type Builder, commonOptions } from './builder.ts';

interface ImageManifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly size: number }[];
}

/** The tool that runs a node on a machine without Docker, and builds images into it. @param tool its path */
export function clusterTool(tool: string): Builder {
  const ctr = (...args: string[]) => run(tool, ['in', 'ctr', '--namespace', 'k8s.io', ...args]);
  const content = async <T>(digest: string) => JSON.parse(await ctr('content', 'get', digest)) as T;
  return {
    name: 'cluster',
    baseImage: 'localhost/node:24',
    build: async (request) => {
      const options = ['--timestamp', String(request.epoch), ...commonOptions(request)];
      const { context, reference } = request;
      // The tool names the image itself: the last two options are its tag.
      await run(tool, ['image-build', context, reference, ...options.slice(0, -2)], { timeoutMs: 1_200_000 });
      // The node has the image, and keeps it when it is stopped. The tool's archive of it would stay, 150 MB for each tag.
      await rm(archiveOf(reference), { force: true });
    },
    inspect: async (reference) => {
      const line = (await ctr('images', 'list', `name==${inNode(reference)}`)).split('\n')[1] ?? '';
      const digest = /sha256:[0-9a-f]{64}/.exec(line)?.[0];
      if (digest === undefined) return undefined;
      const manifest = await content<ImageManifest>(digest);
      const { config } = await content<{ config?: { Labels?: Record<string, string> } }>(manifest.config.digest);
      return { bytes: manifest.layers.reduce((sum, { size }) => sum + size, 0), labels: config?.Labels ?? {} };
    },
    tag: async (from, to) => void (await ctr('images', 'tag', '--force', inNode(from), inNode(to))),
  };
}

/** Where the tool keeps what it built. */
function archiveOf(reference: string): string {
  const cache = process.env['CLUSTER_CACHE'] ?? join(homedir(), '.cache', 'node-cluster');
  return join(cache, 'images', `${reference.replaceAll(/[/:]/g, '_')}.tar`);
}

/** A short name as Kubernetes completes it. Pure. */
export function inNode(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return hasRegistry ? reference : `docker.io/${reference}`;
}
