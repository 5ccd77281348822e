import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { writeFiles } from '../testing/helm.ts';
import { argocdFiles, stale } from './generate.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

describe('the files for Argo CD', () => {
  it('are current', async () => {
    expect(await stale(ROOT)).to.deep.equal([]);
  });

  it('are found not current when one is changed, missing, or nobody makes it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'argocd-'));
    try {
      const files = new Map(argocdFiles());
      files.delete('argocd/project.yaml');
      files.set('argocd/appset.yaml', `${files.get('argocd/appset.yaml')}# by hand\n`);
      await writeFiles(folder, files);
      writeFileSync(join(folder, 'argocd/kind/templates/gone.yaml'), '');
      expect(await stale(folder)).to.have.members([
        'argocd/project.yaml',
        'argocd/appset.yaml',
        'argocd/kind/templates/gone.yaml (nothing makes it: remove it)',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('hold no tab, which would be an error in YAML, and end each line of Lua as it was written', () => {
    for (const [path, content] of argocdFiles()) expect(content, path).to.not.include('\t');
  });
});
