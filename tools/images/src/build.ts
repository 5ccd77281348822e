import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, proxyArgs } from './builders/builder.ts';
import { inputsOf } from './inputs.ts';
import { IMAGES, type Image } from './list.ts';
import { writeBuildSecrets } from './npmconfig.ts';
import { run } from './run.ts';

/** How images are built. */
export interface BuildOptions {
  readonly root: string;
  readonly builder: Builder;
  /** @default the builder's own */
  readonly baseImage?: string;
  readonly tag: string;
  /** Goes before every name, as `registry.example.com/shop`. @default localhost, as the charts' */
  readonly registry?: string;
  /** @default all */
  readonly images?: readonly Image[];
  /** Hears a line for each image. */
  readonly say: (line: string) => void;
}

/** An image as it came out. */
export interface Result {
  readonly image: Image;
  readonly reference: string;
  /** Uncompressed. */
  readonly bytes: number;
  readonly tookMs: number;
  /** `built` anew, `retagged` from one with the same inputs, or `there` already. */
  readonly how: 'built' | 'retagged' | 'there';
}

/** What images are called that come from no registry: no short name, which each program completes in its own way. */
export const LOCAL_REGISTRY = 'localhost';

/** The name of an image. Pure. */
export function referenceOf({ name }: Pick<Image, 'name'>, tag: string, registry = LOCAL_REGISTRY): string {
  return `${registry.replace(/\/+$/, '')}/mercato/${name}:${tag}`;
}

/**
 * Builds images one after the other: they share layers, which the first makes. What was built from the same inputs is not built again, only named.
 *
 * @throws CommandError with the last lines of the build that failed
 */
export async function buildImages(options: BuildOptions): Promise<Result[]> {
  const { root, builder, say, images = IMAGES } = options;
  const secrets = await writeBuildSecrets(root);
  try {
    const revision = (await run('git', ['rev-parse', 'HEAD'], { cwd: root }).catch(() => 'unknown')).trim();
    const results: Result[] = [];
    for (const image of images) {
      const result = await buildOne(options, image, revision, secrets.options);
      const [size, seconds] = [megabytes(result.bytes), (result.tookMs / 1000).toFixed(1)];
      say(`  ${result.reference}: ${result.how} with ${builder.name} in ${seconds} s, ${size}`);
      results.push(result);
    }
    return results;
  } finally {
    await secrets.remove();
  }
}

async function buildOne(
  { root, builder, tag, registry, baseImage = builder.baseImage }: BuildOptions,
  image: Image,
  revision: string,
  options: readonly string[],
): Promise<Result> {
  const began = performance.now();
  const reference = referenceOf(image, tag, registry);
  const inputs = inputsOf(root, image, baseImage);
  // Not the tag: an image that is only named anew stays as it is.
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const known = referenceOf(image, `inputs-${inputs}`, registry);
  let how: Result['how'] = 'there';
  if ((await builder.inspect(reference))?.labels[INPUTS_LABEL] !== inputs) {
    how = 'retagged';
    if ((await builder.inspect(known)) === undefined) {
      how = 'built';
      const buildArgs = {
        BASE_IMAGE: baseImage,
        PACKAGE: image.package,
        TITLE: image.title,
        VERSION: version,
        REVISION: revision,
        INPUTS: inputs,
        ...proxyArgs(process.env),
      };
      await builder.build({ context: root, reference, buildArgs, options, epoch: EPOCH });
      await builder.tag(reference, known);
    } else {
      await builder.tag(known, reference);
    }
  }
  const bytes = (await builder.inspect(reference))?.bytes ?? Number.NaN;
  return { image, reference, bytes, tookMs: performance.now() - began, how };
}

/** What an image was made of. */
export const INPUTS_LABEL = 'dev.mercato.inputs';
/** Every image is of the same moment: when it was built tells nothing that its labels do not. 2026-01-01T00:00:00Z */
const EPOCH = 1_767_225_600;

/** As `174 MB`: a million bytes each, as registries count. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

/** What was built, as a table for people. Pure. */
export function tableOf(results: readonly Result[]): string[] {
  const width = Math.max(...results.map(({ reference }) => reference.length));
  return results.map(
    ({ reference, bytes, how, tookMs }) =>
      `${reference.padEnd(width)}  ${megabytes(bytes).padStart(7)}  ${how.padEnd(8)}  ${(tookMs / 1000).toFixed(1).padStart(6)} s`,
  );
}
