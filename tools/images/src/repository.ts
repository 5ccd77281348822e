import { globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { closureOf, isShipped, type Manifest } from './closure.ts';
import type { Image } from './list.ts';

/** The workspaces that the repository's package.json names, by folder. */
export function workspaces(root: string): Map<string, Manifest> {
  const { workspaces: patterns } = read(join(root, 'package.json')) as { workspaces: string[] };
  const files = globSync(
    patterns.map((pattern) => `${pattern}/package.json`),
    { cwd: root },
  ).sort();
  return new Map(files.map((file) => [file.slice(0, -'/package.json'.length), read(join(root, file)) as Manifest]));
}

/** The files that npm installs by: the lock file and every package.json. Relative to the repository. */
export function manifestsOf(root: string): string[] {
  return [
    'package.json',
    'package-lock.json',
    ...[...workspaces(root).keys()].map((folder) => `${folder}/package.json`),
  ];
}

/** The files of the repository that an image holds, sorted. Relative to the repository. */
export function sourcesOf(root: string, image: Image): string[] {
  const folders = [...closureOf(image.package, workspaces(root)), ...(image.folders ?? [])];
  return folders
    .flatMap((folder) => filesIn(root, folder))
    .filter(isShipped)
    .sort();
}

function filesIn(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path}`)
    .filter((path) => !path.includes('/node_modules/') && statSync(join(root, path)).isFile());
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
