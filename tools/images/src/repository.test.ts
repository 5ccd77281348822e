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
    return folder === undefined ? [] : [`${folder}/src/${path ?? 'index.ts'}`];
  });
}
