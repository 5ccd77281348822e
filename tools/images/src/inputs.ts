import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Image } from './list.ts';
import { manifestsOf, sourcesOf } from './repository.ts';

/** What makes every image beside its own files. */
const RECIPE = [
  'Dockerfile',
  '.dockerignore',
  'tools/images/runtime.sh',
  'tools/images/src/closure.ts',
  'tools/images/src/list.ts',
  'tools/images/src/prune.ts',
  'tools/images/src/repository.ts',
  'tools/images/src/select.ts',
];

/**
 * A digest of everything that goes into an image: 12 hexadecimal digits. Two builds with the same one make the same image, but for the base
 * image, of which only the name is known.
 */
export function inputsOf(root: string, image: Image, baseImage: string): string {
  const files = [...RECIPE, ...manifestsOf(root), ...sourcesOf(root, image)];
  const hash = createHash('sha256').update(JSON.stringify([baseImage, image]));
  for (const file of files)
    hash.update(`\n${file}\n`).update(
      createHash('sha256')
        .update(readFileSync(join(root, file)))
        .digest(),
    );
  return hash.digest('hex').slice(0, 12);
}
