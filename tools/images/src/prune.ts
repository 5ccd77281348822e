import { globSync, lutimesSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * Of an installed package nothing is needed for running but code and its data: no types, source maps, documents or tests, and nothing
 * compiled for another runtime (Bare).
 */
const UNUSED =
  /(\.d\.[cm]?ts|\.(js|cjs|mjs|css)\.map|\.tsbuildinfo|\.bare|\.markdown|\.flow)$|\.(test|spec)\.[cm]?js$|^(readme|changelog|history|contributing|security)(\.|$)/i;
const FOLDERS = /^(test|tests|__tests__|coverage|\.github)$/;
/** Licences ask to go where the code goes. */
const KEPT = /licen[cs]e|copying|notice/i;

/** Whether a file below node_modules is of no use in an image. Pure. @param path relative to node_modules, with slashes */
export function isUnused(path: string): boolean {
  const parts = path.split('/');
  const name = parts.at(-1) ?? '';
  // The first name or two are the package's own: a package may be called "test".
  const inside = parts.slice(path.startsWith('@') ? 2 : 1, -1);
  if (KEPT.test(name)) return false;
  return UNUSED.test(name) || /\.md$/i.test(name) || inside.some((folder) => FOLDERS.test(folder));
}

/** Types alone, that some packages declare as needed for running. */
const TYPES = '@types';

/** Removes unused files below node_modules, and npm's own records of the install, which differ from machine to machine. */
function main(folder: string): void {
  for (const types of globSync([TYPES, `**/node_modules/${TYPES}`], { cwd: folder }))
    rmSync(join(folder, types), { recursive: true });
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const isRecord = basename(path) === '.package-lock.json';
    if (entry.isFile() && (isRecord || isUnused(path.slice(folder.length + 1)))) rmSync(path);
    else lutimesSync(path, 0, 0);
  }
}

if (import.meta.main) main(process.argv[2] ?? 'node_modules');
