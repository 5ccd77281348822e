import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetworkPolicy } from '@mercato/boundary/policy/types.ts';
import { reachOf } from '@mercato/boundary/reach/reach.ts';
import type { Workload } from '@mercato/boundary/reach/types.ts';
import { sharedControlPlane } from '@mercato/controlplane/testing.ts';
import { messageOf } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { chartFiles } from '../backends/charts.ts';
import type { KubernetesObject } from '../backends/render.ts';
import { namespaceOf } from '../constructs/context.ts';
import { portOf } from '../model/derive.ts';
import { mercato } from '../model/mercato.ts';
import type { Service } from '../model/types.ts';
import { ApiServer } from '../testing/apiserver.ts';
import { Helm, objectsIn, writeFiles } from '../testing/helm.ts';
import { at, ofKind, rendered } from '../testing/rendered.ts';
import { serviceChart } from './service-chart.ts';

const CHARTS = join(import.meta.dirname, '../../../charts');
const SERVICES = mercato.services.filter(({ component }) => component !== 'controller');
const SHOP = SERVICES.filter(({ zone }) => zone !== 'card');

const isHook = ({ metadata }: KubernetesObject): boolean => at(metadata, ['annotations', 'helm.sh/hook']) === 'test';

describe('what is written by hand in a chart', function () {
  this.timeout(120_000);
  let folder: string;
  let helm: Helm;
  let server: ApiServer;

  before(async () => {
    helm = await Helm.find();
    server = await ApiServer.prepare(await sharedControlPlane());
    folder = await mkdtemp(join(tmpdir(), 'mercato-charts-'));
    for (const service of SERVICES) {
      const own = join(folder, service.name);
      await writeFiles(own, chartFiles({ definition: serviceChart(mercato, service), dependencies: [] }));
      for (const path of ['NOTES.txt', '_helpers.tpl', 'tests'])
        await cp(join(CHARTS, service.name, 'templates', path), join(own, 'templates', path), { recursive: true });
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** What `helm test` makes, in the API server's namespaces. */
  async function hooksOf({ name }: Service, ...more: readonly string[]): Promise<KubernetesObject[]> {
    const places = Object.entries(server.namespaces).flatMap(([zone, to]) => [
      '--set',
      `global.namespaces.${zone}=${to}`,
    ]);
    const { stdout } = await helm.command('template', 'release', join(folder, name), ...places, ...more);
    return objectsIn(stdout).filter(isHook);
  }

  const podSpecOf = (hooks: readonly KubernetesObject[]) => {
    const pod = hooks.find(({ kind }) => kind === 'Pod' || kind === 'Job');
    return at(pod, pod?.kind === 'Job' ? 'spec.template.spec' : 'spec') as {
      readonly containers: readonly [
        {
          readonly image: string;
          readonly args: readonly string[];
          readonly env: readonly { readonly value: string }[];
        },
      ];
    };
  };

  for (const service of SERVICES) {
    it(`is a test of ${service.name} that the API server takes under Pod Security "restricted"`, async () => {
      const hooks = await hooksOf(service);
      expect(hooks.map(({ kind }) => kind)).to.include(service.zone === 'card' ? 'Job' : 'Pod');
      for (const hook of hooks) {
        const answer = await server.create(hook);
        expect(answer.status, `${hook.kind}: ${messageOf(answer)}`).to.equal(201);
      }
      // A Job is taken whatever its pods are; the pods are what Pod Security looks at.
      const { zone, name } = service;
      const metadata = { name: `${name}-pod`, namespace: server.namespaces[zone] };
      const answer = await server.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpecOf(hooks) });
      expect(answer.status, messageOf(answer)).to.equal(201);
    });

    it(`is a test of ${service.name} that asks it where it answers, with its own image`, async () => {
      const { containers } = podSpecOf(await hooksOf(service, '--set', 'global.image.registry=registry.example'));
      const [{ image, env }] = containers;
      expect(image).to.equal(`registry.example/mercato/${service.image}:0.1.0`);
      const host = `${service.name}.${server.namespaces[service.zone]}.svc:${portOf(service)}`;
      expect(new URL(env[0]?.value ?? '').host).to.equal(host);
    });
  }

  it('says after an installation what to look at, what to make, and what cannot work', async () => {
    const { kubeconfigPath } = await sharedControlPlane();
    const notesOf = async (name: string, ...values: readonly string[]) => {
      const flags = [
        '--dry-run=client',
        '--kubeconfig',
        kubeconfigPath,
        ...values.flatMap((each) => ['--set-json', each]),
      ];
      const { stdout } = await helm.command('install', 'release', join(folder, name), ...flags);
      return stdout.slice(stdout.indexOf('NOTES:'));
    };
    for (const { name } of SERVICES) expect(await notesOf(name)).to.contain(`rollout status statefulset/${name}`);
    const easypost = await notesOf('shipping');
    expect(easypost).to.contain('the Secret shipping-easypost in mercato-shop').and.to.contain('WARNING: outsidePeers');
    const peer = 'outsidePeers=[{"ipBlock":{"cidr":"198.51.100.0/24"}}]';
    expect(await notesOf('shipping', peer)).not.to.contain('WARNING');
    expect(await notesOf('shipping', 'settings.carrier="simulated"')).not.to.match(/WARNING|Secret/);
    expect(await notesOf('inventory', 'global.cluster.apiServerPeers=[]')).to.contain('WARNING');
    expect(await notesOf('inventory', 'allowedSubjects=["ada"]')).to.contain("the operator's, ada.");
  });

  it('takes the image by digest where the workload does', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    for (const service of SERVICES) {
      const { containers } = podSpecOf(await hooksOf(service, '--set', `image.digest=${digest},image.tag=1.2.3`));
      expect(containers[0].image).to.equal(`localhost/mercato/${service.image}@${digest}`);
    }
  });

  it('lets the test in for as long as it lasts, and nobody else', async () => {
    for (const service of SHOP) {
      const own = ofKind(
        rendered(mercato, service.name, { global: { namespaces: server.namespaces } }),
        'NetworkPolicy',
      );
      const hooks = ofKind(await hooksOf(service), 'NetworkPolicy');
      const policies = (more: readonly KubernetesObject[]) => [...own, ...more] as unknown as NetworkPolicy[];
      const tested = podsOf(service, service.name, server);
      const ask = (more: readonly KubernetesObject[], from: string) =>
        reachOf(policies(more)).ask(podsOf(service, from, server), tested, portOf(service), 'TCP').allowed;
      expect(ask(hooks, `${service.name}-test`), service.name).to.equal(true);
      expect(ask([], `${service.name}-test`), service.name).to.equal(false);
      expect(ask(hooks, 'stranger'), service.name).to.equal(false);
    }
  });

  it('adds no policy to a card namespace, where its PciBoundary would call it a violation', async () => {
    for (const service of SERVICES.filter(({ zone }) => zone === 'card'))
      expect(ofKind(await hooksOf(service), 'NetworkPolicy')).to.be.empty;
  });

  it('passes when the service is ready', async () => {
    for (const service of SHOP) {
      const script = podSpecOf(await hooksOf(service)).containers[0].args;
      expect(await outcome(script, await answering(200)), service.name).to.deep.include({ code: 0 });
    }
  });

  it('tells a card namespace that refuses strangers from one that lets them in, and fails when the service is not ready', async () => {
    for (const service of SERVICES.filter(({ zone }) => zone === 'card')) {
      const script = podSpecOf(await hooksOf(service)).containers[0].args;
      const refused = await outcome(script, 'http://127.0.0.1:1/ready');
      expect(refused.code).to.equal(0);
      expect(refused.stdout).to.contain('lets no stranger in');
      const open = await outcome(script, await answering(200));
      expect(open.code).to.equal(0);
      expect(open.stdout).to.contain('enforces no policies');
      expect((await outcome(script, await answering(503))).code).to.equal(1);
    }
  });

  const servers: { close(): void }[] = [];
  after(() => {
    for (const each of servers) each.close();
  });

  async function answering(status: number): Promise<string> {
    const http = createServer((_, response) => void response.writeHead(status).end());
    servers.push(http);
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}/ready`;
  }
});

const podsOf = ({ zone }: Service, name: string, { namespaces }: ApiServer): Workload => ({
  namespace: namespaceOf(zone, { namespaces } as never),
  name,
  labels: { 'app.kubernetes.io/name': name },
  namespaceLabels: {},
});

function outcome(args: readonly string[], url: string): Promise<{ code: number; stdout: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { env: { URL: url }, timeout: 30_000 }, (error, stdout) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout }),
    );
  });
}
