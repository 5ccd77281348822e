import { expect } from 'chai';
import { isUnused } from './prune.ts';

describe('what an installed package does not need for running', () => {
  const unused = [
    'ajv/dist/ajv.d.ts',
    'ajv/dist/ajv.js.map',
    'ajv/README.md',
    '@scope/name/CHANGELOG.md',
    '@scope/name/History.md',
    'bare-fs/prebuilds/linux-x64/bare-fs.bare',
    'jsep/test/index.js',
    'a/lib/b.test.js',
    'a/node_modules/b/__tests__/c.js',
  ];
  const needed = [
    'ajv/dist/ajv.js',
    'ajv/package.json',
    'ajv/LICENSE',
    'ajv/LICENSE.md',
    'b/NOTICE.md',
    'test/index.js',
    '@scope/test/index.js',
    'express/lib/contest.js',
    'history/index.js',
    'a/bin/bare',
    'ajv/lib/refs/data.json',
  ];
  for (const path of unused) it(`leaves ${path} out`, () => void expect(isUnused(path)).to.equal(true));
  for (const path of needed) it(`keeps ${path}`, () => void expect(isUnused(path)).to.equal(false));
});
