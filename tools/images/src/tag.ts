import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inputsOf } from './inputs.ts';
import { IMAGES } from './list.ts';
import { run } from './run.ts';

/** A tag that cannot be used. */
export class TagError extends Error {
  override readonly name = 'TagError';
}

/** What a registry takes as a tag, and not `latest`: that names another image every day, and Kubernetes would pull it each time. */
export function checkTag(tag: string): string {
  if (tag === 'latest') throw new TagError('TAG=latest names no version: give one, as TAG=1.4.0');
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(tag))
    throw new TagError(
      `TAG=${tag}: up to 128 letters, digits, dots, dashes and underscores, with no dot or dash first`,
    );
  return tag;
}

/**
 * The tag of what is built, if nobody says one. Pure.
 *
 * @param version of package.json
 * @param described as `git describe --always --dirty` says it; undefined outside a repository
 * @param contents a digest of what is built: a working tree that was changed has a tag of its own after each change
 */
export function tagFrom(version: string, described: string | undefined, contents: string): string {
  if (described === undefined) return checkTag(`${version}-${contents}`);
  const commit = described.replace(/-dirty$/, '').replaceAll(/[^A-Za-z0-9_.-]/g, '-');
  return checkTag(`${version}-${commit}${described.endsWith('-dirty') ? `-${contents}` : ''}`);
}

/** The tag of the working tree as it is. */
export async function defaultTag(root: string, baseImage: string): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const described = await run('git', ['describe', '--always', '--dirty', '--tags'], { cwd: root }).catch(
    () => undefined,
  );
  const hash = createHash('sha256');
  for (const image of IMAGES) hash.update(inputsOf(root, image, baseImage));
  return tagFrom(version, described?.trim(), hash.digest('hex').slice(0, 8));
}
