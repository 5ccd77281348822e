import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { isStateful } from '../model/derive.ts';
import { mercato } from '../model/mercato.ts';
import { ENVIRONMENTS, type Environment } from '../model/types.ts';
import { Helm, objectsIn, writeFiles } from '../testing/helm.ts';
import { childApplication, environmentApplication, type Inherited, partsOf } from './applications.ts';
import { argocdFiles } from './generate.ts';
import { INSTALLATION } from './installation.ts';
import type { Deployable } from './types.ts';

interface ChildSpec {
  readonly source: { readonly path: string; readonly targetRevision: string; readonly helm: { valueFiles: string[] } };
  readonly destination: { readonly namespace: string };
  readonly syncPolicy: {
    readonly automated: { readonly prune: boolean };
    readonly syncOptions: readonly string[];
    readonly managedNamespaceMetadata?: { readonly labels: Readonly<Record<string, string>> };
  };
}

const inherited: Inherited = {
  name: 'mercato-eu',
  repoURL: 'https://git.example.com/fork.git',
  revision: '0123456789012345678901234567890123456789',
  server: 'https://eu.example.com',
};

const wavesOf = (environment: Environment, deployables: readonly Deployable[] = mercato.services) =>
  Object.fromEntries(partsOf(environment, deployables).map(({ chart, wave }) => [chart, wave]));

describe('the Applications of an environment', () => {
  it('come in the order kinds, controllers, all the rest', () => {
    expect(wavesOf('kind')).to.deep.equal({
      'mercato-crds': -30,
      'mercato-boundary': -20,
      'mercato-operator': -20,
      acquirer: 0,
      carrier: 0,
      inventory: 0,
      'mercato-shop': 0,
      order: 0,
      payment: 0,
      shipping: 0,
    });
  });

  it('wait for nothing that has no deadline: a wave before the last has no service', () => {
    for (const environment of ENVIRONMENTS) {
      const waves = wavesOf(environment);
      const waited = mercato.services.filter(({ name }) => (waves[name] ?? 0) < 0);
      expect(waited.filter(isStateful), environment).to.deep.equal([]);
    }
  });

  it('have no simulated companies in production', () => {
    expect(Object.keys(wavesOf('production')))
      .to.not.include.members(['acquirer'])
      .and.not.include('carrier');
    expect(Object.keys(wavesOf('staging'))).to.include.members(['acquirer', 'carrier']);
  });

  it('have what services share in AWS before them, where there is AWS', () => {
    for (const environment of ['staging', 'production'] as const)
      expect(wavesOf(environment)).to.include({ 'mercato-aws': -10, 'mercato-boundary': -20, inventory: 0 });
  });

  it('follow the model: a service that is added has one', () => {
    const added: Deployable = { name: 'catalog', component: 'service', zone: 'shop' };
    expect(wavesOf('production', [...mercato.services, added])).to.include({ catalog: 0 });
    expect([...argocdFiles(INSTALLATION, [added]).keys()]).to.include('argocd/production/templates/catalog.yaml');
  });

  const child = (name: string, environment: Environment = 'production') => {
    const part = partsOf(environment, mercato.services).find(({ chart }) => chart === name);
    if (part === undefined) throw new Error(`no chart ${name}`);
    const { metadata, spec } = childApplication(part, environment, inherited, INSTALLATION);
    return { metadata, spec: spec as unknown as ChildSpec };
  };

  it('install the commit of the environment, not what a branch has by then', () => {
    const { source } = child('payment').spec;
    expect(source).to.include({ targetRevision: inherited.revision, path: 'charts/payment' });
  });

  it('lay what only the installation knows over what the environment says', () => {
    expect(child('payment').spec.source.helm).to.deep.equal({
      releaseName: 'payment',
      valueFiles: [
        '../../environments/production/payment.yaml',
        '../../installation/production/global.yaml',
        '../../installation/production/payment.yaml',
      ],
      ignoreMissingValueFiles: true,
    });
  });

  it('enforce Pod Security before the first pod', () => {
    const { managedNamespaceMetadata, syncOptions } = child('inventory').spec.syncPolicy;
    expect(syncOptions).to.include.members(['CreateNamespace=true', 'ServerSideApply=true']);
    expect(managedNamespaceMetadata?.labels).to.include({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  });

  it('leave the namespace of card data to the chart of the boundary, which makes it closed', () => {
    const { managedNamespaceMetadata, syncOptions } = child('payment').spec.syncPolicy;
    expect(syncOptions).to.not.include('CreateNamespace=true');
    expect(managedNamespaceMetadata).to.equal(undefined);
  });

  it('agree about a namespace that two of them share: otherwise each would change it back', () => {
    const [one, two] = [child('inventory'), child('shipping')];
    expect(one.spec.destination.namespace).to.equal(two.spec.destination.namespace);
    expect(one.spec.syncPolicy.managedNamespaceMetadata).to.deep.equal(two.spec.syncPolicy.managedNamespaceMetadata);
  });

  it('never take a kind away: its objects would go with it', () => {
    const { metadata, spec } = child('mercato-crds');
    expect(metadata.finalizers).to.equal(undefined);
    expect(spec.syncPolicy.automated.prune).to.equal(false);
    expect(child('payment').spec.syncPolicy.automated.prune).to.equal(true);
  });

  it('are handed the commit, the repository and the cluster by their environment, as text', () => {
    const { spec } = environmentApplication(
      { name: 'x', environment: 'kind', server: 'https://1.2.3.4' },
      INSTALLATION,
    );
    const { helm } = spec['source'] as {
      helm: { parameters: { name: string; value: string; forceString: boolean }[] };
    };
    expect(Object.fromEntries(helm.parameters.map(({ name, value }) => [name, value]))).to.deep.equal({
      name: '$ARGOCD_APP_NAME',
      repoURL: '$ARGOCD_APP_SOURCE_REPO_URL',
      revision: '$ARGOCD_APP_REVISION',
      server: 'https://1.2.3.4',
    });
    expect(
      helm.parameters.every(({ forceString }) => forceString),
      'a commit of digits is no number',
    ).to.equal(true);
  });
});

describe('the chart of an environment', function () {
  this.timeout(60_000);
  let folder: string;
  let helm: Helm;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'argocd-'));
    await writeFiles(folder, argocdFiles());
    helm = await Helm.find();
  });

  after(() => rmSync(folder, { recursive: true }));

  const template = async (environment: Environment, values: Inherited) => {
    const set = Object.entries(values).flatMap(([name, value]) => ['--set-string', `${name}=${value}`]);
    const { stdout } = await helm.command('template', 'x', join(folder, 'argocd', environment), ...set);
    return objectsIn(stdout);
  };

  for (const environment of ENVIRONMENTS) {
    it(`${environment}: renders what its Applications are`, async () => {
      const wanted = partsOf(environment, mercato.services).map((part) =>
        childApplication(part, environment, inherited, INSTALLATION),
      );
      expect(await template(environment, inherited)).to.have.deep.members(wanted);
    });
  }

  for (const [field, value] of [
    ['revision', 'main"\nspec: {}'],
    ['name', 'Mercato'],
    ['repoURL', 'https://x/{{ .Values.name }}'],
    ['server', 'http://plain.example.com'],
  ] as const) {
    it(`refuses a ${field} that YAML or Argo CD would take for something else`, async () => {
      const refused = await template('kind', { ...inherited, [field]: value }).then(
        () => expect.fail('it was taken'),
        (error: Error) => error.message,
      );
      expect(refused).to.match(new RegExp(`${field}.*pattern`));
    });
  }
});
