import { CommandError, run } from '../run.ts';
import { type Builder, type Built, commonOptions } from './builder.ts';

interface Inspected {
  readonly Size: number;
  readonly Config: { readonly Labels: Record<string, string> | null };
}

/** Docker with BuildKit, or podman, whose commands are the same. */
export function dockerLike(name: 'docker' | 'podman'): Builder {
  // Host network: a registry or proxy that listens on this machine's loopback is reached from a build, too.
  const timed = (epoch: number) =>
    name === 'docker' ? ['--build-arg', `SOURCE_DATE_EPOCH=${epoch}`] : ['--timestamp', String(epoch), '--layers'];
  return {
    name,
    baseImage: 'node:24-bookworm-slim',
    build: async (request) => {
      const options = ['--network', 'host', ...timed(request.epoch), ...commonOptions(request)];
      await run(name, ['build', ...options, request.context], { env: { DOCKER_BUILDKIT: '1' }, timeoutMs: 1_200_000 });
    },
    inspect: async (reference) => {
      const text = await run(name, ['image', 'inspect', reference]).catch(absent);
      return text === undefined ? undefined : parse(text);
    },
    tag: async (from, to) => void (await run(name, ['tag', from, to])),
    push: async (reference) => void (await run(name, ['push', reference])),
    save: async (reference, file) => void (await run(name, ['save', '--output', file, reference])),
  };
}

function parse(text: string): Built | undefined {
  const [image] = JSON.parse(text) as Inspected[];
  return image && { bytes: image.Size, labels: image.Config.Labels ?? {} };
}

/** Both end with a status of their own when an image is not there; that the program is there was asked before. */
function absent(error: unknown): undefined {
  if (error instanceof CommandError && error.status !== undefined) return undefined;
  throw error;
}
