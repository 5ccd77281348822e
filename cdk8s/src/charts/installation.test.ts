import { FINALIZER } from '@mercato/operator/controllers/ordersagarun/run.ts';
import { CALLER, DRAIN, OPERATOR } from '@mercato/operator/rights.ts';
import { expect } from 'chai';
import { overridesOf } from '../backends/environments.ts';
import { objectsOf } from '../backends/manifests.ts';
import { type KubernetesObject, render, renderHooks } from '../backends/render.ts';
import { valuesOf } from '../backends/values.ts';
import { namespaceLabels } from '../constructs/namespace.ts';
import { environments } from '../model/environments.ts';
import { mercato } from '../model/mercato.ts';
import { Installation } from '../testing/installation.ts';
import { at, ofKind } from '../testing/rendered.ts';
import { packagesOf } from './index.ts';

const packages = packagesOf(mercato);
const umbrella = packages.at(-1)!;
const SYSTEM = 'mercato-system';

/** What an installation for kind is told. */
const kind = overridesOf(umbrella, environments.kind);
/** The objects of the umbrella there, without the namespaces. */
const objects = objectsOf(umbrella, kind);
const hooks = packages.flatMap(({ definition }) => renderHooks(definition, valuesOf(definition)));

const accountOf = ({ metadata }: KubernetesObject): string => `${metadata.namespace}/${metadata.name}`;
const subjectsOf = (bindings: readonly KubernetesObject[]): string[] => [
  ...new Set(
    bindings.flatMap((binding) =>
      (binding['subjects'] as { kind: string; name: string; namespace: string }[]).map(
        ({ name, namespace }) => `${namespace}/${name}`,
      ),
    ),
  ),
];
const bindingsIn = (all: readonly KubernetesObject[]) => all.filter(({ kind }) => /^(Cluster)?RoleBinding$/.test(kind));

/** Pods as the workloads and Jobs of these objects make them: a claim of a StatefulSet is a volume. */
function podsOf(all: readonly KubernetesObject[]): KubernetesObject[] {
  return all.flatMap((object) => {
    const template = at(object, 'spec.template') as Template | undefined;
    if (template === undefined) return [];
    const { name, namespace } = object.metadata;
    const claims = (at(object, 'spec.volumeClaimTemplates') ?? []) as { metadata: { name: string } }[];
    const volumes = claims.map(({ metadata }) => ({ name: metadata.name, emptyDir: {} }));
    const spec = { ...template.spec, volumes: [...(template.spec.volumes ?? []), ...volumes] };
    return [{ apiVersion: 'v1', kind: 'Pod', metadata: { ...template.metadata, name, namespace }, spec }];
  }) as KubernetesObject[];
}

interface Template {
  readonly metadata: object;
  readonly spec: { readonly volumes?: readonly object[] };
}

describe('the charts on a real API server', function () {
  this.timeout(300_000);
  let installed: Installation;

  before(async () => {
    installed = await Installation.prepare();
    await installed.install('mercato-crds', SYSTEM);
    await installed.plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    await installed.install('mercato', SYSTEM, kind);
  });
  after(() => installed.close());

  it('are taken as they are written: every field is one that its kind has', async () => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...objects, ...hooks] });
    const flags = ['--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict'];
    await installed.plane.kubectl(['apply', ...flags, '--field-manager=test', '-f', '-'], list);
  });

  it('make the namespaces of their parts, where Pod Security takes their pods and no others', async () => {
    for (const zone of ['shop', 'card', 'boundary', 'simulators'] as const) {
      const namespace = await installed.get<KubernetesObject>('namespace', `mercato-${zone}`);
      expect(namespace?.metadata['labels'], zone).to.include(namespaceLabels(zone));
      expect(at(namespace, ['metadata', 'annotations', 'helm.sh/resource-policy'])).to.equal('keep');
    }
    await installed.plane.kubectl(['label', 'namespace', SYSTEM, 'pod-security.kubernetes.io/enforce=restricted']);
    const pods = podsOf([...objects, ...hooks]);
    expect(pods.map(({ metadata }) => metadata.name)).to.include.members([
      OPERATOR,
      'mercato-boundary',
      'payment',
      DRAIN,
    ]);
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: pods });
    // The hooks' own accounts are there while they run.
    const accounts = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: ofKind(hooks, 'ServiceAccount') });
    await installed.plane.kubectl(['apply', '-f', '-'], accounts);
    await installed.plane.kubectl(['create', '--dry-run=server', '--validate=strict', '-f', '-'], list);
    await installed.plane.kubectl(['delete', '-f', '-'], accounts);
    const root = pods.map((pod) => ({ ...pod, spec: { ...(pod['spec'] as object), securityContext: {} } }))[0];
    const refusal = await installed.plane.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(root)).then(
      () => 'no refusal',
      (error: Error) => error.message,
    );
    expect(refusal).to.include('violates PodSecurity "restricted');
  });

  it('give services no rights: no binding names their accounts, and their pods have no token but for keys and events', async () => {
    const holders = subjectsOf(bindingsIn(objects));
    expect(holders.sort()).to.deep.equal([`mercato-boundary/mercato-boundary`, `${SYSTEM}/${OPERATOR}`]);
    const accounts = ofKind(objects, 'ServiceAccount');
    const withoutRights = accounts.filter((account) => !holders.includes(accountOf(account)));
    expect(withoutRights.map(({ metadata }) => metadata.name)).to.include.members([
      CALLER,
      'inventory',
      'payment',
      'shipping',
    ]);
    for (const { metadata } of withoutRights) {
      const user = `system:serviceaccount:${metadata.namespace}:${metadata.name}`;
      const groups = ['system:serviceaccounts', `system:serviceaccounts:${metadata.namespace}`, 'system:authenticated'];
      // kubectl asks with a SelfSubjectRulesReview.
      const rules = await installed.plane.kubectl([
        ...['auth', 'can-i', '--list', '--no-headers', '--namespace', String(metadata.namespace), '--as', user],
        ...groups.flatMap((group) => ['--as-group', group]),
      ]);
      const resources = rules.split('\n').filter((line) => /^\S/.test(line) && !line.startsWith('selfsubject'));
      expect(resources, user).to.deep.equal([]);
    }
    for (const pod of podsOf(objects)) {
      const controls = holders.some((holder) => holder.endsWith(`/${pod.metadata.name}`));
      expect(at(pod, 'spec.automountServiceAccountToken'), pod.metadata.name).to.equal(controls);
    }
  });

  it("gives the hooks' accounts their rights only while they run", async () => {
    expect(subjectsOf(bindingsIn(hooks)).sort()).to.deep.equal([
      'mercato-boundary/mercato-boundary-withdraw',
      `${SYSTEM}/${DRAIN}`,
    ]);
    for (const { kind, metadata } of hooks.filter(({ kind }) => kind !== 'Job')) {
      const place = metadata.namespace === undefined ? [] : ['-n', metadata.namespace];
      expect(await installed.get(kind, metadata.name, ...place), `${kind} ${metadata.name}`).to.equal(undefined);
    }
  });

  it('say after their installation what to do next', async () => {
    for (const chart of packages.map(({ definition }) => definition.name)) {
      const notes = await installed.notes(chart);
      expect(notes.trim(), chart).not.to.equal('');
      expect(notes, chart).not.to.match(/<no value>|%!/);
    }
  });

  it('have the PciBoundary of the card namespace, which denies all by itself', async () => {
    const boundary = await installed.get('pciboundary', 'card');
    expect((at(boundary, 'spec.ingress') as { name: string }[]).map(({ name }) => name)).to.deep.equal([
      'mercato-operator-to-payment',
      'mercato-worker-to-payment',
    ]);
    expect((at(boundary, 'spec.egress') as { name: string }[]).map(({ name }) => name)).to.deep.equal([
      'payment-to-acquirer',
    ]);
    const deny = await installed.get('networkpolicy', 'default-deny', '-n', 'mercato-card');
    expect(at(deny, 'spec')).to.deep.equal({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    const { items } = (await installed.get<{ items: KubernetesObject[] }>('networkpolicy', '-n', 'mercato-card')) ?? {
      items: [],
    };
    expect(items.map(({ metadata }) => metadata.name)).to.deep.equal(['default-deny']);
  });

  it('declare a boundary that the API server takes with all that an installation can open', async () => {
    const { definition } = packages.find(({ definition: { name } }) => name === 'mercato-boundary')!;
    const pods = { namespace: 'mercato-card', podLabels: { 'app.kubernetes.io/name': 'payment' } };
    const audit = { namespace: 'audit', podLabels: { app: 'audit' } };
    const ports = [{ port: 9000 }];
    const given = {
      global: { monitoring: { enabled: true }, aws: { enabled: true, identity: 'pod-identity' } },
      outside: {
        payment: { processor: { cidrs: [{ cidr: '192.0.2.0/24', except: ['192.0.2.128/25'] }], wide: false } },
      },
      aws: { cidrs: [{ cidr: '10.0.1.0/24' }] },
      dns: { cidrs: ['172.20.0.10/32'] },
      apiServer: { cidrs: ['10.0.0.0/20', '172.20.0.1/32'] },
      ingress: [{ name: 'audit', from: audit, to: pods, ports, why: 'a test' }],
      egress: [{ name: 'audit', from: pods, to: { pods: audit }, ports, why: 'a test' }],
      access: [{ kind: 'Group', name: 'auditors', why: 'a test' }],
    };
    const boundary = ofKind(render(definition, valuesOf(definition, given)), 'PciBoundary')[0];
    expect((at(boundary, 'spec.egress') as object[]).length).to.equal(4);
    const flags = ['--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict'];
    await installed.plane.kubectl(['apply', ...flags, '-f', '-'], JSON.stringify(boundary));
  });

  it('keep the kinds when their release goes, and take them over when it is back', async () => {
    await installed.uninstall('mercato-crds', SYSTEM);
    expect(await installed.get('crd', 'ordersagaruns.mercato.dev')).not.to.equal(undefined);
    expect(await installed.get('pciboundary', 'card')).not.to.equal(undefined);
    await installed.install('mercato-crds', SYSTEM);
  });

  it('are not uninstalled under a run in flight: Helm says so, and nothing of the hook is left but its Job', async () => {
    await installed.install('mercato', SYSTEM, { ...kind, 'mercato-operator': { drain: { timeout: '1s' } } });
    const input = {
      customer: 'ada',
      currency: 'GBP',
      lines: [{ sku: 'MUG', quantity: 1, unitPrice: 895 }],
      paymentToken: 'tok_visa',
      shipTo: { country: 'GB' },
    };
    const run = {
      apiVersion: 'mercato.dev/v1alpha1',
      kind: 'OrderSagaRun',
      metadata: { name: 'checkout-1', namespace: 'mercato-shop', finalizers: [FINALIZER] },
      spec: { sagaRef: { name: 'checkout' }, orderId: '1', input },
    };
    await installed.plane.kubectl(['create', '-f', '-'], JSON.stringify(run));
    const uninstalled = installed.uninstall('mercato', SYSTEM).then(
      () => 'it was uninstalled',
      (error: Error) => error.message,
    );
    const refused = (): Promise<string> =>
      installed.plane
        .kubectl(
          ['create', '--dry-run=server', '-f', '-'],
          JSON.stringify({
            ...run,
            metadata: { ...run.metadata, name: 'checkout-2' },
            spec: { ...run.spec, orderId: '2' },
          }),
        )
        .then(
          () => '',
          (error: Error) => error.message,
        );
    // Before the drain's Job is played: with its end the door is open again.
    await refusedOnce(refused);
    const ended = await installed.runJob(DRAIN, SYSTEM);
    expect(ended).to.include({ code: 1 });
    expect(ended.output).to.include('"name":"checkout-1"').and.include('drain.timeout');
    expect(await uninstalled).to.include('job mercato-drain failed');
    expect(await installed.get('deployment', OPERATOR, '-n', SYSTEM)).not.to.equal(undefined);
    for (const object of ['clusterrole', 'clusterrolebinding'])
      expect(await installed.get(object, DRAIN), object).to.equal(undefined);
    expect(await installed.get('validatingadmissionpolicy', 'draining.mercato.dev')).to.equal(undefined);
    expect(await installed.get('job', DRAIN, '-n', SYSTEM), 'to be read').not.to.equal(undefined);
  });

  it('are uninstalled once no run is in flight: nothing is stuck, and the boundary leaves deny behind', async () => {
    const free = JSON.stringify({ metadata: { finalizers: null } });
    await installed.plane.kubectl(['patch', 'osr', 'checkout-1', '-n', 'mercato-shop', '--type=merge', '-p', free]);
    const uninstalled = installed.uninstall('mercato', SYSTEM);
    expect(await installed.runJob(DRAIN, SYSTEM)).to.include({ code: 0 });
    expect(await installed.runJob('mercato-boundary-withdraw', 'mercato-boundary')).to.include({ code: 0 });
    await uninstalled;
    for (const { kind, metadata } of objects) {
      const place = metadata.namespace === undefined ? [] : ['-n', metadata.namespace];
      const kept = at(metadata, ['annotations', 'helm.sh/resource-policy']) === 'keep';
      const found = await installed.get(kind, metadata.name, ...place);
      expect(found === undefined, `${kind} ${metadata.name}`).to.equal(!kept);
    }
    expect(await installed.get('job', DRAIN, '-n', SYSTEM)).to.equal(undefined);
    expect(await installed.get('osr', 'checkout-1', '-n', 'mercato-shop'), 'the books are kept').not.to.equal(
      undefined,
    );
    expect(await installed.get('networkpolicy', 'default-deny', '-n', 'mercato-card')).not.to.equal(undefined);
  });

  it('are installed again over what was kept', async () => {
    await installed.install('mercato', SYSTEM, kind);
    expect(await installed.get('pciboundary', 'card')).not.to.equal(undefined);
  });
});

/** Waits until what is asked is refused for the drain. */
async function refusedOnce(refused: () => Promise<string>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await refused()).includes('takes no new orders'))
    if (performance.now() > deadline) throw new Error('new runs are taken while the operator is drained');
}
