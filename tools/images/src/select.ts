import { cpSync, lutimesSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageOf } from './list.ts';
import { manifestsOf, sourcesOf } from './repository.ts';

/**
 * `PACKAGE=operator node select.ts FOLDER`, inside the image build: puts what npm installs by into FOLDER/manifests, what the image holds of
 * the repository into FOLDER/sources, and what later stages run beside them. Imports nothing that is not in Node.
 */
function main(root: string, folder: string, image = imageOf(process.env['PACKAGE'] ?? '')): void {
  for (const file of manifestsOf(root)) copy(join(root, file), join(folder, 'manifests', file));
  for (const file of sourcesOf(root, image)) copy(join(root, file), join(folder, 'sources', file));
  copy(fileURLToPath(new URL('./prune.ts', import.meta.url)), join(folder, 'prune.ts'));
  // The same files make the same layer, whenever they were checked out.
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) lutimesSync(join(folder, path), 0, 0);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}

main(fileURLToPath(new URL('../../../', import.meta.url)), process.argv[2] ?? '/selection');
