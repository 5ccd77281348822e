import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildImages, tableOf } from './build.ts';
import { findBuilder, NoBuilderError } from './builders/find.ts';
import { IMAGES, imageOf } from './list.ts';
import { CommandError } from './run.ts';
import { checkTag, defaultTag, TagError } from './tag.ts';

const USAGE = `usage: node tools/images/src/main.ts [--tag TAG] [--registry PREFIX] [--push] [PACKAGE...]

Builds the images of the packages named (default: all), and says how large they are.

  --tag TAG          default: the version and what "git describe" says; never latest
  --registry PREFIX  goes before each name, as registry.example.com/shop (default: localhost, as the charts')
  --push             sends them there

Environment: MERCATO_BUILDER (docker, podman, cluster or buildah; default: the first that works), BASE_IMAGE, MERCATO_CLUSTER_TOOL
`;

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

class UsageError extends Error {
  override readonly name = 'UsageError';
}

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parse(args);
  const builder = await findBuilder(ROOT);
  const baseImage = process.env['BASE_IMAGE'] || builder.baseImage;
  const tag = values.tag ? checkTag(values.tag) : await defaultTag(ROOT, baseImage);
  if (values.push && builder.push === undefined)
    throw new UsageError(`--push: ${builder.name} only builds for its own cluster; use docker, podman or buildah`);
  const results = await buildImages({
    root: ROOT,
    builder,
    baseImage,
    tag,
    images: positionals.length === 0 ? IMAGES : positionals.map(imageOf),
    say: (line) => void process.stderr.write(`${line}\n`),
    ...(values.registry ? { registry: values.registry } : {}),
  });
  if (values.push) for (const { reference } of results) await builder.push?.(reference);
  process.stdout.write(`${tableOf(results).join('\n')}\n`);
}

function parse(args: readonly string[]) {
  const options = { tag: { type: 'string' }, registry: { type: 'string' }, push: { type: 'boolean' } } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const known = [UsageError, TagError, NoBuilderError, CommandError].some((type) => error instanceof type);
  process.stderr.write(`${known ? (error as Error).message : (error as Error).stack}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
