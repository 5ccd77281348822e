import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { inputsOf } from './inputs.ts';
import { IMAGES, imageOf } from './list.ts';
import { manifestsOf, sourcesOf, workspaces } from './repository.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

describe('the images of this repository', () => {
  for (const image of IMAGES) {
    it(`${image.name} holds every file of ours that its files import`, () => {
      const files = new Set(sourcesOf(ROOT, image));
      const folders = new Map([...workspaces(ROOT)].map(([folder, { name }]) => [name, folder]));
      const missing = [...files]
        .filter((file) => file.endsWith('.ts'))
        .flatMap((file) => importsOf(file, folders).map((imported) => `${file} imports ${imported}`))
        .filter((each) => !files.has(each.split(' imports ')[1] ?? ''));
      expect(missing).to.deep.equal([]);
      expect(files.size).to.be.at.least(5);
    });
  }

  it('have nothing in them that .dockerignore keeps out of their builds', () => {
    const patterns = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
    const letIn = patterns.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const folders = new Set(IMAGES.flatMap((image) => sourcesOf(ROOT, image).map((file) => file.split('/')[0])));
    expect(letIn).to.include.members([...folders]);
  });

  it('install by the lock file and the manifest of every workspace', () => {
    expect(manifestsOf(ROOT)).to.include.members(['package.json', 'package-lock.json', 'operator/package.json']);
    expect(manifestsOf(ROOT)).to.have.length(workspaces(ROOT).size + 2);
  });

  it('have inputs of their own, and others on another base', () => {
    const all = IMAGES.map((image) => inputsOf(ROOT, image, 'node:24'));
    expect(new Set(all).size).to.equal(IMAGES.length);
    expect(inputsOf(ROOT, imageOf('services/payment'), 'node:25')).to.not.be.oneOf(all);
  });

  it('are of the packages that are listed, and of no others', () => {
    expect(() => imageOf('bench')).to.throw(/no image is made of "bench".*services\/inventory/);
  });
});

/** Files of the repository that a file imports for running: types are stripped, and need nobody. */
function importsOf(file: string, folders: ReadonlyMap<string, string>): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/^(?:import|export) (?!type )(?:[^'"]* from )?'([^']+)';/gm)].flatMap(([, from = '']) => {
    if (from.startsWith('.')) return [join(dirname(file), from)];
    const [, name = '', path] = /^(@mercato\/[^/]+)(?:\/(.+))?$/.exec(from) ?? [];
    const folder = folders.get(name);
    if (folder === undefined) return [];
    return [path === undefined ? join(folder, mainOf(folder)) : `${folder}/src/${path}`];
  });
}

/** The file that a package's bare name stands for. */
function mainOf(folder: string): string {
  const { exports } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as {
    exports: Readonly<Record<string, string>>;
  };
  const main = exports['.'];
  if (main === undefined) throw new Error(`${folder} has no main file: its package.json exports no "."`);
  return main;
}
