import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { mercato } from '../model/mercato.ts';
import { ENVIRONMENTS } from '../model/types.ts';
import { Helm } from '../testing/helm.ts';
import { partsOf } from './applications.ts';
import { INSTALLATION } from './installation.ts';
import { CHARTS_PROJECT, ENVIRONMENTS_PROJECT, projects } from './project.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface ProjectSpec {
  readonly sourceRepos: readonly string[];
  readonly destinations: readonly { readonly server: string; readonly namespace: string }[];
  readonly clusterResourceWhitelist: readonly { readonly group: string; readonly kind: string }[];
  readonly namespaceResourceWhitelist?: readonly { readonly group: string; readonly kind: string }[];
  readonly namespaceResourceBlacklist?: readonly { readonly group: string; readonly kind: string }[];
}

const specOf = (name: string): ProjectSpec => {
  const found = projects(INSTALLATION).find(({ metadata }) => metadata.name === name);
  return found?.['spec'] as ProjectSpec;
};

describe('the projects', () => {
  it('allow nothing by a wildcard', () => {
    expect(JSON.stringify(projects(INSTALLATION))).to.not.include('*');
  });

  it('let charts into our namespaces only, and never into that of Argo CD', () => {
    const { destinations, namespaceResourceBlacklist } = specOf(CHARTS_PROJECT);
    const namespaces = destinations.map(({ namespace }) => namespace);
    expect(namespaces).to.have.members(Object.values(INSTALLATION.namespaces));
    expect(namespaces).to.not.include(INSTALLATION.argocdNamespace);
    expect(namespaceResourceBlacklist).to.deep.include({ group: 'argoproj.io', kind: 'Application' });
  });

  it('let environments make Applications, and nothing else', () => {
    const { clusterResourceWhitelist, namespaceResourceWhitelist, destinations } = specOf(ENVIRONMENTS_PROJECT);
    expect(clusterResourceWhitelist).to.deep.equal([]);
    expect(namespaceResourceWhitelist).to.deep.equal([{ group: 'argoproj.io', kind: 'Application' }]);
    expect(destinations.map(({ namespace }) => namespace)).to.deep.equal([INSTALLATION.argocdNamespace]);
  });

  describe('and the charts', function () {
    this.timeout(120_000);
    let helm: Helm;

    before(async () => {
      helm = await Helm.find();
    });

    for (const environment of ENVIRONMENTS) {
      it(`${environment}: every object of every chart is allowed, and every kind that is allowed is there`, async () => {
        const { clusterResourceWhitelist, destinations } = specOf(CHARTS_PROJECT);
        const namespaces = destinations.map(({ namespace }) => namespace);
        const used = new Set<string>();
        for (const { chart, zone } of partsOf(environment, mercato.services)) {
          const values = `${ROOT}environments/${environment}/${chart}.yaml`;
          expect(existsSync(values), values).to.equal(true);
          for (const { apiVersion, kind, metadata } of await helm.template(`${ROOT}charts/${chart}`, values)) {
            const group = apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
            const listed = clusterResourceWhitelist.some((each) => each.group === group && each.kind === kind);
            if (listed) used.add(`${group}/${kind}`);
            else
              expect(namespaces, `${chart}: ${kind} ${metadata.name}`).to.include(
                metadata.namespace ?? INSTALLATION.namespaces[zone],
              );
          }
        }
        expect([...used]).to.have.members(clusterResourceWhitelist.map(({ group, kind }) => `${group}/${kind}`));
      });
    }
  });
});
