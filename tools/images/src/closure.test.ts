import { expect } from 'chai';
import { closureOf, isShipped, type Manifest } from './closure.ts';

describe('what goes into an image', () => {
  const manifests = new Map<string, Manifest>([
    ['operator', { name: '@m/operator', dependencies: { undici: '8.0.0' } }],
    ['services/kit', { name: '@m/kit', dependencies: { ajv: '8.0.0' } }],
    ['services/a', { name: '@m/a', dependencies: { '@m/kit': '0.1.0', express: '5.0.0' } }],
    ['tools/x', { name: '@m/x', dependencies: { '@m/a': '0.1.0', '@m/y': '0.1.0' } }],
    ['tools/y', { name: '@m/y', dependencies: { '@m/x': '0.1.0' } }],
    ['bench', { name: '@m/bench' }],
  ]);

  it('is a package, and every workspace that it depends on through others', () => {
    expect(closureOf('services/a', manifests)).to.deep.equal(['services/a', 'services/kit']);
    expect(closureOf('operator', manifests)).to.deep.equal(['operator']);
  });

  it('is found where packages depend on each other in a circle', () => {
    expect(closureOf('tools/x', manifests)).to.deep.equal(['services/a', 'services/kit', 'tools/x', 'tools/y']);
  });

  it('is refused for a folder that is no workspace', () => {
    expect(() => closureOf('services/b', manifests)).to.throw('services/b is no workspace');
  });

  it('leaves out tests and what only tests use', () => {
    const paths = {
      'operator/src/main.ts': true,
      'operator/src/saga/engine.laws.test.ts': false,
      'operator/src/testing/cluster.ts': false,
      'operator/src/kube/testing.ts': false,
      'services/kit/src/contesting.ts': true,
      'tools/e2e/src/images.e2e.ts': false,
      'services/a/node_modules/x/index.js': false,
      'services/kit/README.md': false,
      'services/kit/src/schema.json': true,
    };
    expect(Object.fromEntries(Object.keys(paths).map((path) => [path, isShipped(path)]))).to.deep.equal(paths);
  });
});
