import { randomBytes } from 'node:crypto';
import type { ControlPlane } from '@mercato/controlplane';
import { type ApiClient, type ApiResponse, apiClient } from '@mercato/controlplane/request.ts';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import type { PolicyRule } from '@mercato/operator/api/rbac.ts';
import { as, messageOf, until, untilMay } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { clusterRights } from './rights.ts';
import { cardNamespace, installAdmission } from './testing/admission.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ALL = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] };
const NAME = 'app.kubernetes.io/name';
const SECURE = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
const container = (securityContext: object = SECURE) => ({ name: 'app', image: 'app:1', securityContext });

/** Ways round the policies, tried as those who would: a namespace's own administrator, a node, the boundary's controller. */
describe('Attacks on the PCI boundary', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  /** May do everything in the shop's namespace and in the card namespace, and nothing elsewhere. */
  let nell: ApiClient;
  /** A kubelet whose node somebody took over. */
  let node: ApiClient;
  /** The boundary's controller: exactly its rights. */
  let keeper: ApiClient;
  let card: string;
  let shop: string;
  const suffix = randomBytes(4).toString('hex');
  const nodeName = `node-${suffix}`;
  const boundary = `attacked-${suffix}`;
  const caller = { [NAME]: 'shipping' };
  const callee = { [NAME]: 'acquirer' };

  before(async () => {
    plane = await sharedControlPlane();
    await installAdmission(plane);
    card = `attacked-${suffix}`;
    await cardNamespace(plane, card);
    shop = await uniqueNamespace(plane, 'shop');
    const nodes = { apiGroups: [''], resources: ['nodes', 'nodes/status', 'pods', 'pods/status'], verbs: ['*'] };
    const tokens = { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] };
    nell = await person(`nell-${suffix}`, [ALL], shop, card);
    keeper = await person(`keeper-${suffix}`, clusterRights);
    await person(`system:node:${nodeName}`, [nodes, tokens]);
    // Kubelets are of this group; the Node authorizer is not asked here, RBAC stands for it.
    const certificate = await plane.issueClientCertificate({ user: `system:node:${nodeName}` });
    node = apiClient(plane.url, plane.caPem, certificate);
    for (const namespace of [card, shop]) {
      await until(`the account of ${namespace}`, async () => {
        const { status } = await post(plane.request, `/api/v1/namespaces/${namespace}/serviceaccounts`, {
          metadata: { name: 'default' },
        });
        return status === 201 || status === 409;
      });
    }
    const ports = [{ port: 8080 }];
    const why = 'a test';
    const payment = { namespace: card, podLabels: { [NAME]: 'payment' } };
    const ingress = [{ name: 'in', from: { namespace: shop, podLabels: caller }, to: payment, ports, why }];
    const egress = [{ name: 'out', from: payment, to: { pods: { namespace: shop, podLabels: callee } }, ports, why }];
    const spec = { namespaces: [card], ingress, egress };
    allowed(await post(plane.request, '/apis/mercato.dev/v1alpha1/pciboundaries', kinded({ name: boundary }, spec)));
    await until('the boundary counts', async () => {
      const answer = await makePod(nell, 'caller', {}, caller);
      return answer.status === 403 && messageOf(answer).includes('card-callers.mercato.dev');
    });
  });

  const kinded = (metadata: object, spec: object) => ({
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'PciBoundary',
    metadata,
    spec,
  });

  /** With these rights in each of the namespaces, or without any, everywhere. */
  async function person(name: string, rules: readonly PolicyRule[], ...namespaces: string[]): Promise<ApiClient> {
    const metadata = { name };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }];
    allowed(await post(plane.request, `${RBAC}/clusterroles`, { metadata, rules }));
    for (const namespace of namespaces.length === 0 ? [undefined] : namespaces) {
      const place = namespace === undefined ? 'clusterrolebindings' : `namespaces/${namespace}/rolebindings`;
      allowed(await post(plane.request, `${RBAC}/${place}`, { metadata, roleRef, subjects }));
      await untilMay(plane, name, rules, namespace);
    }
    return as(plane, name);
  }

  const post = (client: ApiClient, path: string, body: object): Promise<ApiResponse> =>
    client(path, { method: 'POST', body });
  const patch = (client: ApiClient, path: string, body: object): Promise<ApiResponse> =>
    client(path, { method: 'PATCH', contentType: 'application/merge-patch+json', body });
  const at = (namespace: string, rest: string) => `/api/v1/namespaces/${namespace}/${rest}`;
  const podSpec = (spec: object = {}) => ({ automountServiceAccountToken: false, containers: [container()], ...spec });
  const makePod = (client: ApiClient, name: string, spec: object = {}, labels: object = {}) =>
    post(client, at(shop, 'pods'), { metadata: { name, labels }, spec: podSpec(spec) });

  function allowed(answer: ApiResponse): void {
    expect(answer.status, messageOf(answer)).to.be.within(200, 201);
  }

  function refused(answer: ApiResponse, policy: string): void {
    expect(answer.status, messageOf(answer)).to.equal(403);
    expect(messageOf(answer)).to.include(`${policy}.mercato.dev`);
  }

  describe("by a namespace's own administrator", () => {
    for (const way of ['status', 'finalize'] as const) {
      it(`do not let pods onto card nodes by labels written with a namespace's ${way}`, async () => {
        for (const label of ['mercato.dev/node-agents', 'mercato.dev/card-data']) {
          const path = `/api/v1/namespaces/${shop}`;
          const { body } = await nell(path);
          const namespace = body as { metadata: { labels: object } };
          const labels = { ...namespace.metadata.labels, [label]: 'true' };
          const changed = { ...namespace, metadata: { ...namespace.metadata, labels } };
          refused(await nell(`${path}/${way}`, { method: 'PUT', body: changed }), 'card-namespaces');
        }
      });
    }

    it("do not lower a card namespace's Pod Security by its status", async () => {
      const labels = { 'pod-security.kubernetes.io/enforce': 'privileged' };
      refused(await patch(nell, `/api/v1/namespaces/${card}/status`, { metadata: { labels } }), 'card-namespaces');
    });

    it("do not give a pod a caller's labels by its status", async () => {
      allowed(await makePod(nell, 'plain'));
      const path = at(shop, 'pods/plain/status');
      refused(await patch(nell, path, { metadata: { labels: caller } }), 'card-callers');
      allowed(await patch(nell, path, { status: { reason: 'Tried' } }));
    });

    it('do not make a pod pass for a probe by its status, nor report for one', async () => {
      const path = at(shop, 'pods/probe/status');
      allowed(await makePod(nell, 'probe'));
      const labels = { 'mercato.dev/boundary-probe': boundary };
      refused(await patch(nell, path, { metadata: { labels } }), 'card-probes');
      allowed(await patch(plane.request, path, { metadata: { labels } }));
      const report = { status: { phase: 'Succeeded', message: 'all closed' } };
      refused(await patch(nell, path, report), 'card-probes');
      allowed(await patch(node, path, report));
    });

    it('do not give a card pod the ways of another by its status', async () => {
      const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'x', uid: suffix }];
      const spec = podSpec({ securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } });
      allowed(await post(nell, at(card, 'pods'), { metadata: { name: 'vault', ownerReferences }, spec }));
      const labels = { [NAME]: 'payment' };
      refused(await patch(nell, at(card, 'pods/vault/status'), { metadata: { labels } }), 'card-pod-labels');
    });

    it('do not give a pod labels by its other subresources', async () => {
      allowed(await makePod(nell, 'steady'));
      const ephemeralContainers = [{ ...container(), name: 'debug' }];
      const metadata = { labels: caller };
      const path = at(shop, 'pods/steady');
      allowed(await patch(nell, `${path}/ephemeralcontainers`, { metadata, spec: { ephemeralContainers } }));
      const requests = { cpu: '1m' };
      const resized = [{ ...container(), resources: { requests } }];
      await patch(nell, `${path}/resize`, { metadata, spec: { containers: resized } });
      const { body } = await nell(path);
      expect((body as { metadata: { labels?: object } }).metadata.labels ?? {}).to.not.include(caller);
    });

    it("do not hide a caller's labels among more than can be looked at", async () => {
      const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`label-${i}`, 'x'.repeat(40)]));
      refused(await makePod(nell, 'crowd', {}, { ...many, ...caller }), 'card-callers');
    });

    it('do not have a StatefulSet make callers of a revision', async () => {
      const template = { metadata: { labels: caller }, spec: podSpec() };
      const body = { metadata: { name: 'x-1' }, revision: 1, data: { spec: { template } } };
      const path = `/apis/apps/v1/namespaces/${shop}/controllerrevisions`;
      refused(await post(nell, path, body), 'card-callers');
      allowed(await post(nell, path, { ...body, data: { spec: { steps: [] } } }));
    });

    it('do not lead a card Service elsewhere', async () => {
      const metadata = { name: 'payment-x', labels: { 'kubernetes.io/service-name': 'payment' } };
      const slice = {
        metadata,
        addressType: 'IPv4',
        endpoints: [{ addresses: ['10.9.8.7'] }],
        ports: [{ port: 8080 }],
      };
      const slices = (namespace: string) => `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
      refused(await post(nell, slices(card), slice), 'card-endpoints');
      const subsets = [{ addresses: [{ ip: '10.9.8.7' }], ports: [{ port: 8080 }] }];
      refused(await post(nell, at(card, 'endpoints'), { metadata: { name: 'payment' }, subsets }), 'card-endpoints');
      allowed(await post(nell, slices(shop), slice));
      allowed(await post(plane.request, slices(card), slice));
    });

    it('do not make pods that card pods call', async () => {
      refused(await makePod(nell, 'acquirer', {}, callee), 'card-callers');
    });

    for (const path of ['pods/bound/binding', 'bindings']) {
      it(`do not put pods onto card nodes by ${path}`, async () => {
        allowed(await makePod(plane.request, `bound-${path.length}`));
        const name = `bound-${path.length}`;
        const body = { metadata: { name }, target: { kind: 'Node', name: 'card-1' } };
        refused(await post(nell, at(shop, path.replace('bound', name)), body), 'card-bindings');
        const scheduler = await as(plane, 'system:kube-scheduler');
        allowed(await post(scheduler, at(shop, path.replace('bound', name)), body));
      });
    }

    it('do not claim addresses that card pods call', async () => {
      const spec = { ports: [{ port: 443 }], externalIPs: ['203.0.113.7'] };
      refused(await post(nell, at(shop, 'services'), { metadata: { name: 'claim' }, spec }), 'card-addresses');
      const balanced = { ports: [{ port: 443 }], type: 'LoadBalancer' };
      allowed(await post(nell, at(shop, 'services'), { metadata: { name: 'balanced' }, spec: balanced }));
      const status = { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } };
      refused(await patch(nell, at(shop, 'services/balanced/status'), { status }), 'card-addresses');
      allowed(await patch(plane.request, at(shop, 'services/balanced/status'), { status }));
    });

    it("do not take a card service's identity", async () => {
      const path = at(card, 'serviceaccounts/default/token');
      const request = { spec: { audiences: ['sts.amazonaws.com'] } };
      refused(await post(nell, path, request), 'card-tokens');
      allowed(await post(nell, at(shop, 'serviceaccounts/default/token'), request));
      const metadata = { name: 'forever', annotations: { 'kubernetes.io/service-account.name': 'default' } };
      const secret = { metadata, type: 'kubernetes.io/service-account-token' };
      refused(await post(nell, at(card, 'secrets'), secret), 'card-tokens');
      allowed(await post(nell, at(card, 'secrets'), { metadata: { name: 'plain' }, stringData: { a: 'b' } }));
      allowed(await post(node, path, request));
    });
  });

  describe('by a node that somebody took over', () => {
    it('do not make it a card node', async () => {
      allowed(await post(plane.request, '/api/v1/nodes', { metadata: { name: nodeName } }));
      const labels = { 'mercato.dev/card-data': 'true' };
      for (const path of [`/api/v1/nodes/${nodeName}`, `/api/v1/nodes/${nodeName}/status`]) {
        refused(await patch(node, path, { metadata: { labels } }), 'card-nodes');
        allowed(await patch(node, path, { metadata: { labels: { zone: 'a' } } }));
      }
    });

    it('do not put static pods among card pods or callers', async () => {
      const metadata = {
        name: 'static',
        annotations: { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: suffix, controller: true }],
      };
      const securityContext = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
      const spec = { containers: [container()], securityContext, nodeName };
      refused(await post(node, at(card, 'pods'), { metadata, spec }), 'card-pods');
      refused(await post(node, at(shop, 'pods'), { metadata: { ...metadata, labels: caller }, spec }), 'card-callers');
    });
  });

  describe("by the boundary's controller, taken over", () => {
    const job = (spec: object) => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { generateName: 'probe-' },
      spec: {
        template: {
          metadata: { labels: { ...caller, 'mercato.dev/boundary-probe': boundary } },
          spec: { restartPolicy: 'Never', securityContext: { runAsNonRoot: true }, ...podSpec(spec) },
        },
      },
    });
    const start = (spec: object = {}) => post(keeper, `/apis/batch/v1/namespaces/${shop}/jobs?dryRun=All`, job(spec));

    it('let it start probes', async () => allowed(await start()));

    for (const [what, spec] of Object.entries({
      'are privileged': { containers: [container({ privileged: true })] },
      'may escalate': { containers: [container({})] },
      'have capabilities': { containers: [container({ ...SECURE, capabilities: { add: ['NET_RAW'] } })] },
      'run as root': { securityContext: {} },
      'are on the network of their node': { hostNetwork: true },
      'see the processes of their node': { hostPID: true },
      'name their node': { nodeName: 'card-1' },
      'run as a card service': { serviceAccountName: 'payment' },
    }))
      it(`do not let it start probes that ${what}`, async () => refused(await start(spec), 'card-probes'));

    it('do not let it widen what is declared', async () => {
      const path = `/apis/mercato.dev/v1alpha1/pciboundaries/${boundary}`;
      refused(await patch(keeper, path, { spec: { egress: [] } }), 'card-declarations');
      allowed(await patch(keeper, path, { metadata: { finalizers: ['mercato.dev/boundary'] } }));
      allowed(await patch(keeper, path, { metadata: { finalizers: [] } }));
    });

    it('do not let it remove the Jobs of others', async () => {
      const path = `/apis/batch/v1/namespaces/${shop}/jobs`;
      const template = { spec: { restartPolicy: 'Never', ...podSpec() } };
      allowed(await post(nell, path, { metadata: { name: 'theirs' }, spec: { template } }));
      refused(await keeper(`${path}/theirs`, { method: 'DELETE' }), 'card-probe-removals');
      allowed(await nell(`${path}/theirs`, { method: 'DELETE' }));
    });
  });
});
