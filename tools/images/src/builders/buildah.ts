import { CommandError, run } from '../run.ts';
import { type Builder, commonOptions } from './builder.ts';

interface Inspected {
  readonly Docker: { readonly config: { readonly Labels: Record<string, string> | null } };
}

/** Buildah without a daemon. */
export function buildah(): Builder {
  return {
    name: 'buildah',
    baseImage: 'docker.io/library/node:24-bookworm-slim',
    build: async (request) => {
      const fixed = ['--layers', '--network', 'host', '--format', 'docker', '--timestamp', String(request.epoch)];
      await run('buildah', ['bud', ...fixed, ...commonOptions(request), request.context], { timeoutMs: 1_200_000 });
    },
    inspect: async (reference) => {
      try {
        const { Docker } = JSON.parse(await run('buildah', ['inspect', '--type', 'image', reference])) as Inspected;
        const bytes = await sizeOf(reference);
        return { bytes, labels: Docker.config.Labels ?? {} };
      } catch (error) {
        if (error instanceof CommandError && error.status !== undefined) return undefined;
        throw error;
      }
    },
    tag: async (from, to) => void (await run('buildah', ['tag', from, to])),
    push: async (reference) => void (await run('buildah', ['push', reference])),
    save: async (reference, file) =>
      void (await run('buildah', ['push', reference, `docker-archive:${file}:${reference}`])),
  };
}

/** Buildah knows sizes only as people read them: `174 MB`. */
async function sizeOf(reference: string): Promise<number> {
  const [image] = JSON.parse(await run('buildah', ['images', '--json', reference])) as { size: string }[];
  const match = /^([\d.]+) ?([kMG]?)B$/.exec(image?.size ?? '');
  const unit = { '': 1, k: 1e3, M: 1e6, G: 1e9 }[match?.[2] ?? ''] ?? 1;
  return Number(match?.[1] ?? Number.NaN) * unit;
}
