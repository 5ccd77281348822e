import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GENERATED } from './backends/charts.ts';

/** How files on disk differ from what is generated. */
export interface Difference {
  readonly path: string;
  readonly how: 'missing' | 'differs' | 'no longer generated';
}

/** Compares what a folder has with what is generated. Files that were written by hand are left out. */
export function compare(folder: string, files: ReadonlyMap<string, string>): Difference[] {
  const differences: Difference[] = [];
  for (const [path, text] of files) {
    const found = textOf(join(folder, path));
    if (found !== text) differences.push({ path, how: found === undefined ? 'missing' : 'differs' });
  }
  for (const path of filesIn(folder))
    if (!files.has(path) && textOf(join(folder, path))?.includes(GENERATED) === true)
      differences.push({ path, how: 'no longer generated' });
  return differences;
}

/** Makes a folder what is generated. Files that were written by hand stay. */
export function write(folder: string, files: ReadonlyMap<string, string>): Difference[] {
  const differences = compare(folder, files);
  for (const { path, how } of differences) {
    const file = join(folder, path);
    if (how === 'no longer generated') {
      rmSync(file);
      continue;
    }
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, files.get(path) as string);
  }
  return differences;
}

function textOf(file: string): string | undefined {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, 'utf8') : undefined;
}

function filesIn(folder: string): string[] {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.endsWith('.tgz'));
}
