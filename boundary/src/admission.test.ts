import { randomBytes } from 'node:crypto';
import type { ControlPlane } from '@mercato/controlplane';
import type { ApiClient, ApiResponse } from '@mercato/controlplane/request.ts';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import type { PolicyRule } from '@mercato/operator/api/rbac.ts';
import { as, messageOf, until, untilMay } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { admission } from './admission.ts';
import { cardNamespace, installAdmission } from './testing/admission.ts';

/** What a request did: the status, and what was said. */
type Answer = Promise<ApiResponse>;

const CONTAINER = {
  name: 'app',
  image: 'app:1',
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  },
};
const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'app', uid: '00000000-0000-4000-8000-000000000000' };

describe('Admission to the PCI boundary', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  /** May write everything but holds no verb on pciboundaries. */
  let sam: ApiClient;
  /** As sam, and administers the boundary. */
  let ada: ApiClient;
  /** As sam, and holds the verb of the boundary's controller. */
  let keeper: ApiClient;
  let card: string;
  let shop: string;
  const suffix = randomBytes(4).toString('hex');
  const agent = `agent-${suffix}`;

  before(async () => {
    plane = await sharedControlPlane();
    await installAdmission(plane);
    card = `card-${suffix}`;
    await cardNamespace(plane, card);
    // Pod Security would refuse some of what is asked here before our policies can.
    await label(plane.request, card, { 'pod-security.kubernetes.io/enforce': 'privileged' });
    shop = await uniqueNamespace(plane, 'shop');
    const all = {
      apiGroups: ['', 'networking.k8s.io', 'rbac.authorization.k8s.io', 'apps', 'batch'],
      resources: ['*'],
      verbs: ['*'],
    };
    sam = await person('sam', [all]);
    const may = (verb: string) => ({ apiGroups: ['mercato.dev'], resources: ['pciboundaries'], verbs: [verb] });
    ada = await person('ada', [all, may('administer')]);
    keeper = await person('keeper', [all, may('enforce')]);
    // Pods need their service account, which no controller makes here.
    for (const [namespace, account] of [
      [card, 'default'],
      [shop, 'default'],
      ['kube-system', agent],
    ] as const) {
      await make(plane.request, namespace, 'serviceaccounts', serviceAccount(account), false);
    }
    // Policies come into force some time after they were stored, each by itself.
    for (const attempt of forbiddenByEach())
      await until(attempt.what, async () => {
        const answer = await attempt.try();
        return answer.status === 403 && messageOf(answer).includes(`${attempt.what}.mercato.dev`);
      });
  });

  async function person(name: string, rules: PolicyRule[]): Promise<ApiClient> {
    const user = `${name}-${suffix}`;
    await grant(user, user, rules);
    return as(plane, user);
  }

  async function grant(user: string, name: string, rules: PolicyRule[]): Promise<void> {
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const metadata = { name };
    const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules };
    expect((await plane.request(`${rbac}/clusterroles`, { method: 'POST', body: role })).status).to.equal(201);
    const binding = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    };
    expect((await plane.request(`${rbac}/clusterrolebindings`, { method: 'POST', body: binding })).status).to.equal(
      201,
    );
    await untilMay(plane, user, rules);
  }

  /** One request for each policy that it alone refuses. */
  function forbiddenByEach(): { what: string; try: () => Answer }[] {
    const pod = (spec: object) => make(sam, shop, 'pods', podOf('x', spec));
    return [
      { what: 'card-networkpolicies', try: () => make(sam, card, 'networkpolicies', networkPolicy('x')) },
      { what: 'card-services', try: () => make(sam, card, 'services', service('x', { type: 'NodePort' })) },
      { what: 'card-pods', try: () => make(sam, card, 'pods', podOf('x')) },
      { what: 'card-connections', try: () => sam(`/api/v1/namespaces/${card}/services/x/proxy/`) },
      { what: 'card-tolerations', try: () => pod({ tolerations: [{ operator: 'Exists' }] }) },
      { what: 'card-rolebindings', try: () => make(sam, card, 'rolebindings', roleBinding('x', [user('eve')])) },
      { what: 'card-namespaces', try: () => label(sam, shop, { 'mercato.dev/card-data': 'true' }, true) },
    ];
  }

  function allowed(answer: ApiResponse): void {
    expect(answer.status, messageOf(answer)).to.be.within(200, 201);
  }

  function forbidden(answer: ApiResponse, policy: string, ...words: string[]): void {
    expect(answer.status, messageOf(answer)).to.equal(403);
    for (const word of [`${policy}.mercato.dev`, ...words]) expect(messageOf(answer)).to.include(word);
  }

  const PATHS: Readonly<Record<string, string>> = {
    networkpolicies: '/apis/networking.k8s.io/v1',
    rolebindings: '/apis/rbac.authorization.k8s.io/v1',
  };
  const pathOf = (namespace: string, plural: string, name = '') =>
    `${PATHS[plural] ?? '/api/v1'}/namespaces/${namespace}/${plural}${name === '' ? '' : `/${name}`}`;
  const make = (client: ApiClient, namespace: string, plural: string, body: object, dryRun = true): Answer =>
    client(`${pathOf(namespace, plural)}${dryRun ? '?dryRun=All' : ''}`, { method: 'POST', body });
  const change = (client: ApiClient, path: string, body: object, dryRun = true): Answer =>
    client(`${path}${dryRun ? '?dryRun=All' : ''}`, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body,
    });
  const label = (client: ApiClient, name: string, labels: object, dryRun = false): Answer =>
    change(client, `/api/v1/namespaces/${name}`, { metadata: { labels } }, dryRun);

  const networkPolicy = (name: string) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] },
  });
  const service = (name: string, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { 'app.kubernetes.io/name': 'payment' }, ports: [{ port: 8080 }], ...spec },
  });
  const podOf = (name: string, spec: object = {}, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: { serviceAccountName: 'default', automountServiceAccountToken: false, containers: [CONTAINER], ...spec },
  });
  const serviceAccount = (name: string) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  const owned = { ownerReferences: [OWNER] };
  const user = (name: string) => ({ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name });
  const account = (name: string, namespace: string) => ({ kind: 'ServiceAccount', name, namespace });
  const roleBinding = (name: string, subjects: object[]) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `sam-${suffix}` },
    subjects,
  });

  it('names no namespace and no account of this installation, so that it can be installed as it is', () => {
    const text = JSON.stringify(admission());
    for (const name of ['mercato-card', 'mercato-boundary:', 'mercato-system', 'mercato-shop'])
      expect(text).not.to.include(name);
  });

  describe('NetworkPolicies', () => {
    it('of a card namespace are not made by anybody but the controller and administrators', async () => {
      forbidden(await make(sam, card, 'networkpolicies', networkPolicy('open')), 'card-networkpolicies', 'PciBoundary');
      allowed(await make(ada, card, 'networkpolicies', networkPolicy('open')));
      allowed(await make(keeper, card, 'networkpolicies', networkPolicy('open')));
      allowed(await make(sam, shop, 'networkpolicies', networkPolicy('open')));
    });

    it('are neither changed nor deleted by others, one by one or all at once', async () => {
      allowed(await make(keeper, card, 'networkpolicies', networkPolicy('kept'), false));
      const path = pathOf(card, 'networkpolicies', 'kept');
      forbidden(await change(sam, path, { spec: { ingress: [] } }), 'card-networkpolicies');
      forbidden(await sam(path, { method: 'DELETE' }), 'card-networkpolicies');
      forbidden(await sam(pathOf(card, 'networkpolicies'), { method: 'DELETE' }), 'card-networkpolicies');
      allowed(await change(keeper, path, { spec: { ingress: [] } }));
      allowed(await keeper(path, { method: 'DELETE' }));
    });
  });

  it("lets Kubernetes' own controllers clean up", async () => {
    for (const name of ['namespace-controller', 'generic-garbage-collector']) {
      const account = `system:serviceaccount:kube-system:${name}`;
      const rules = [{ apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['delete', 'create'] }];
      await grant(account, `${name}-${suffix}`, rules);
      allowed(await make(keeper, card, 'networkpolicies', networkPolicy(name), false));
      const cleaner = await as(plane, account);
      allowed(await cleaner(pathOf(card, 'networkpolicies', name), { method: 'DELETE' }));
      forbidden(await make(cleaner, card, 'networkpolicies', networkPolicy(name)), 'card-networkpolicies');
    }
  });

  describe("The controller's account", () => {
    it('writes NetworkPolicies in card namespaces only, and removes its own elsewhere', async () => {
      forbidden(
        await make(keeper, shop, 'networkpolicies', networkPolicy('astray')),
        'card-enforcers',
        'card namespaces only',
      );
      const labels = { 'mercato.dev/boundary': 'shop' };
      const own = { ...networkPolicy('own'), metadata: { name: 'own', labels } };
      allowed(await make(ada, shop, 'networkpolicies', own, false));
      allowed(await make(ada, shop, 'networkpolicies', networkPolicy('other'), false));
      forbidden(
        await change(keeper, pathOf(shop, 'networkpolicies', 'own'), { spec: { ingress: [] } }),
        'card-enforcers',
      );
      allowed(await keeper(pathOf(shop, 'networkpolicies', 'own'), { method: 'DELETE' }));
      forbidden(await keeper(pathOf(shop, 'networkpolicies', 'other'), { method: 'DELETE' }), 'card-enforcers');
    });
  });

  describe('Services', () => {
    for (const [what, spec] of Object.entries({
      NodePort: { type: 'NodePort' },
      LoadBalancer: { type: 'LoadBalancer' },
      ExternalName: { type: 'ExternalName', externalName: 'example.org', ports: [], selector: {} },
      externalIPs: { externalIPs: ['192.0.2.1'] },
    })) {
      it(`with ${what} are refused in a card namespace`, async () => {
        forbidden(await make(sam, card, 'services', service('out', spec)), 'card-services');
        allowed(await make(ada, card, 'services', service('out', spec)));
        // Elsewhere they may face the outside, but claim nobody's address.
        if (what === 'externalIPs')
          forbidden(await make(sam, shop, 'services', service('out', spec)), 'card-addresses');
        else allowed(await make(sam, shop, 'services', service('out', spec)));
      });
    }

    it('of type ClusterIP are allowed, and do not become something else', async () => {
      allowed(await make(sam, card, 'services', service('inside'), false));
      forbidden(await change(sam, pathOf(card, 'services', 'inside'), { spec: { type: 'NodePort' } }), 'card-services');
      allowed(await change(sam, pathOf(card, 'services', 'inside'), { metadata: { labels: { a: 'b' } } }));
    });

    it('that faced the outside before can be let go of their finalizers', async () => {
      const old = { ...service('old', { type: 'NodePort' }), metadata: { name: 'old', finalizers: ['example.org/x'] } };
      allowed(await make(ada, card, 'services', old, false));
      allowed(await change(sam, pathOf(card, 'services', 'old'), { metadata: { finalizers: [] } }, false));
    });
  });

  describe('Pods of a card namespace', () => {
    for (const [what, spec] of Object.entries({
      hostNetwork: { hostNetwork: true },
      hostPID: { hostPID: true },
      hostIPC: { hostIPC: true },
      hostPort: { containers: [{ ...CONTAINER, ports: [{ containerPort: 80, hostPort: 80 }] }] },
      'hostPort of an init container': {
        initContainers: [{ ...CONTAINER, name: 'init', ports: [{ containerPort: 80, hostPort: 80 }] }],
      },
    })) {
      it(`are refused with ${what}`, async () => {
        forbidden(await make(sam, card, 'pods', podOf('app', spec, owned)), 'card-pods', 'remove');
        allowed(await make(sam, shop, 'pods', podOf('app', spec, owned)));
      });
    }

    it('need an owner', async () => {
      forbidden(await make(sam, card, 'pods', podOf('bare')), 'card-pods', 'make a Deployment');
      allowed(await make(sam, card, 'pods', podOf('app', {}, owned)));
    });

    it('run on card nodes', async () => {
      const spec = { tolerations: [{ key: 'mercato.dev/card-data', operator: 'Exists' }] };
      allowed(await make(sam, card, 'pods', podOf('app', spec, owned)));
    });

    it('keep the label by which policies know them', async () => {
      const labels = { 'app.kubernetes.io/name': 'vault' };
      allowed(await make(sam, card, 'pods', podOf('app', {}, { ...owned, labels }), false));
      const path = pathOf(card, 'pods', 'app');
      const metadata = { labels: { 'app.kubernetes.io/name': 'payment' } };
      forbidden(await change(sam, path, { metadata }), 'card-pod-labels', 'template');
      allowed(await change(sam, path, { metadata: { labels: { other: 'label' } } }));
    });

    it('get no debug containers', async () => {
      const debug = async (client: ApiClient, namespace: string) =>
        change(client, `${pathOf(namespace, 'pods', 'app')}/ephemeralcontainers`, {
          spec: { ephemeralContainers: [{ ...CONTAINER, name: 'debug' }] },
        });
      allowed(await make(sam, shop, 'pods', podOf('app'), false));
      forbidden(await debug(sam, card), 'card-ephemeralcontainers');
      allowed(await debug(ada, card));
      allowed(await debug(sam, shop));
    });

    for (const way of ['exec', 'attach', 'portforward', 'proxy']) {
      it(`are not reached by ${way}`, async () => {
        const connect = (client: ApiClient, namespace: string): Answer =>
          client(
            `${pathOf(namespace, 'pods', 'app')}/${way}${way === 'portforward' ? '?ports=1' : '?command=id&stdout=1'}`,
            {
              method: 'POST',
            },
          );
        forbidden(await connect(sam, card), 'card-connections');
        // No kubelet and no address here: whoever is let through is told so.
        for (const answer of [await connect(ada, card), await connect(sam, shop)])
          expect(answer.status, messageOf(answer)).to.be.oneOf([400, 500, 503]);
      });
    }
  });

  describe('The taint of card nodes', () => {
    const tolerating = (toleration: object) => podOf('tolerating', { tolerations: [toleration] });
    for (const [what, toleration] of Object.entries({
      'its key': { key: 'mercato.dev/card-data', operator: 'Exists' },
      'its key and value': { key: 'mercato.dev/card-data', operator: 'Equal', value: 'true', effect: 'NoSchedule' },
      'its key and value, the operator left out': { key: 'mercato.dev/card-data', value: 'true' },
      'every taint': { operator: 'Exists' },
      'every taint of its effect': { operator: 'Exists', effect: 'NoSchedule' },
    })) {
      it(`is not tolerated elsewhere by ${what}`, async () => {
        forbidden(
          await make(sam, shop, 'pods', tolerating(toleration)),
          'card-tolerations',
          'only pods of card namespaces',
        );
        allowed(await make(ada, shop, 'pods', tolerating(toleration)));
        allowed(
          await make(sam, 'kube-system', 'pods', {
            ...tolerating(toleration),
            spec: { ...tolerating(toleration).spec, serviceAccountName: agent },
          }),
        );
      });
    }

    for (const [what, toleration] of Object.entries({
      'another taint': { key: 'spot', operator: 'Exists' },
      'another value': { key: 'mercato.dev/card-data', value: 'false' },
      'another effect': { operator: 'Exists', effect: 'NoExecute' },
    })) {
      it(`does not keep pods from tolerating ${what}`, async () => {
        allowed(await make(sam, shop, 'pods', tolerating(toleration)));
      });
    }

    it('is not tolerated by what is added to a pod later, and a pod from before is let go', async () => {
      const path = pathOf(shop, 'pods', 'tolerant');
      const everything = [{ operator: 'Exists' }];
      allowed(await make(sam, shop, 'pods', podOf('plain'), false));
      const plain = (await sam(pathOf(shop, 'pods', 'plain'))).body as { spec: { tolerations?: object[] } };
      const grown = { spec: { tolerations: [...(plain.spec.tolerations ?? []), ...everything] } };
      forbidden(await change(sam, pathOf(shop, 'pods', 'plain'), grown), 'card-tolerations');
      const metadata = { name: 'tolerant', finalizers: ['example.org/x'] };
      allowed(await make(ada, shop, 'pods', { ...podOf('tolerant', { tolerations: everything }), metadata }, false));
      allowed(await change(sam, path, { metadata: { finalizers: [] } }));
    });

    it('is not gone round by a pod that names its node', async () => {
      const named = podOf('named', { nodeName: 'card-1' });
      forbidden(await make(sam, shop, 'pods', named), 'card-tolerations', 'nodeSelector');
      allowed(await make(ada, shop, 'pods', named));
    });

    it('is tolerated by node agents, in namespaces that an administrator labels so', async () => {
      const agents = await uniqueNamespace(plane, 'agents');
      await make(plane.request, agents, 'serviceaccounts', serviceAccount('default'), false);
      const labels = { 'mercato.dev/node-agents': 'true' };
      forbidden(await label(sam, agents, labels), 'card-namespaces', 'node-agents');
      allowed(await label(ada, agents, labels));
      await until(
        'the label counts',
        async () => (await make(sam, agents, 'pods', tolerating({ operator: 'Exists' }))).status === 201,
      );
    });
  });

  describe('RoleBindings of a card namespace', () => {
    it('name service accounts of the namespace', async () => {
      const group = { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: `system:serviceaccounts:${card}` };
      allowed(await make(sam, card, 'rolebindings', roleBinding('own', [account('payment', card), group])));
      allowed(await make(sam, card, 'rolebindings', roleBinding('none', [])));
    });

    it('name nobody from outside, unless an administrator makes them', async () => {
      const group = { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:authenticated' };
      for (const outsider of [user('eve'), group, account('payment', shop)]) {
        const mixed = roleBinding('mixed', [account('payment', card), outsider]);
        forbidden(await make(sam, card, 'rolebindings', mixed), 'card-rolebindings', 'administer');
        allowed(await make(ada, card, 'rolebindings', mixed));
        allowed(await make(sam, shop, 'rolebindings', mixed));
      }
    });

    it('do not get somebody from outside later', async () => {
      allowed(await make(sam, card, 'rolebindings', roleBinding('later', [account('payment', card)]), false));
      const path = pathOf(card, 'rolebindings', 'later');
      forbidden(await change(sam, path, { subjects: [user('eve')] }), 'card-rolebindings');
    });
  });

  describe('Namespaces', () => {
    it('become and cease to be card namespaces by administrators only', async () => {
      const namespace = (labels: object) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: `new-${suffix}`, labels },
      });
      const create = (client: ApiClient, labels: object): Answer =>
        client('/api/v1/namespaces?dryRun=All', { method: 'POST', body: namespace(labels) });
      forbidden(await create(sam, { 'mercato.dev/card-data': 'true' }), 'card-namespaces', 'ask one');
      allowed(await create(sam, { team: 'a' }));
      allowed(await create(ada, { 'mercato.dev/card-data': 'true' }));
      forbidden(await label(sam, card, { 'mercato.dev/card-data': null }, true), 'card-namespaces');
      forbidden(await label(sam, card, { 'mercato.dev/card-data': 'false' }, true), 'card-namespaces');
      allowed(await label(ada, card, { 'mercato.dev/card-data': null }, true));
      allowed(await label(sam, card, { team: 'a' }, true));
    });

    it('for card data keep their Pod Security', async () => {
      const privileged = { 'pod-security.kubernetes.io/enforce': 'baseline' };
      const older = { 'pod-security.kubernetes.io/enforce-version': 'v1.24' };
      for (const labels of [privileged, older]) {
        forbidden(await label(sam, card, labels, true), 'card-namespaces', 'Pod Security');
        allowed(await label(ada, card, labels, true));
        allowed(await label(sam, shop, labels, true));
      }
    });

    it('for card data are deleted by administrators only', async () => {
      const remove = (client: ApiClient, name: string): Answer =>
        client(`/api/v1/namespaces/${name}?dryRun=All`, { method: 'DELETE' });
      forbidden(await remove(sam, card), 'card-namespaces');
      allowed(await remove(ada, card));
      allowed(await remove(sam, shop));
    });
  });

  describe("Declared callers' labels", () => {
    const labels = { 'app.kubernetes.io/name': 'shipping', 'app.kubernetes.io/component': 'service' };
    const template = { metadata: { labels }, spec: podOf('x').spec };
    const selector = { matchLabels: { 'app.kubernetes.io/component': 'service' } };
    const restartPolicy = 'Never';
    const workloads: Readonly<Record<string, readonly [string, object]>> = {
      pods: ['/api/v1', podOf('impostor', {}, { labels })],
      replicationcontrollers: ['/api/v1', { kind: 'ReplicationController', spec: { selector: labels, template } }],
      deployments: ['/apis/apps/v1', { kind: 'Deployment', spec: { selector, template } }],
      statefulsets: ['/apis/apps/v1', { kind: 'StatefulSet', spec: { serviceName: 'x', selector, template } }],
      daemonsets: ['/apis/apps/v1', { kind: 'DaemonSet', spec: { selector, template } }],
      replicasets: ['/apis/apps/v1', { kind: 'ReplicaSet', spec: { selector, template } }],
      jobs: [
        '/apis/batch/v1',
        { kind: 'Job', spec: { template: { ...template, spec: { ...template.spec, restartPolicy } } } },
      ],
      cronjobs: [
        '/apis/batch/v1',
        {
          kind: 'CronJob',
          spec: {
            schedule: '0 0 * * *',
            jobTemplate: { spec: { template: { ...template, spec: { ...template.spec, restartPolicy } } } },
          },
        },
      ],
    };
    let elsewhere: string;
    const attempt = (client: ApiClient, namespace: string, plural: string, name = 'impostor'): Answer => {
      const [api, body] = workloads[plural] as readonly [string, object];
      const metadata = { name, ...(plural === 'pods' ? { labels } : {}) };
      const path = `${api}/namespaces/${namespace}/${plural}?dryRun=All`;
      return client(path, {
        method: 'POST',
        body: { apiVersion: api.replace(/^\/(api|apis)\//, ''), ...body, metadata },
      });
    };

    before(async () => {
      elsewhere = await uniqueNamespace(plane, 'elsewhere');
      await make(plane.request, elsewhere, 'serviceaccounts', serviceAccount('default'), false);
      const pods = (namespace: string, name: string) => ({ namespace, podLabels: { 'app.kubernetes.io/name': name } });
      const body = {
        apiVersion: 'mercato.dev/v1alpha1',
        kind: 'PciBoundary',
        metadata: { name: `callers-${suffix}` },
        spec: {
          namespaces: [card],
          ingress: [
            {
              name: 'calls',
              from: pods(shop, 'shipping'),
              to: pods(card, 'payment'),
              ports: [{ port: 8080 }],
              why: 'a test',
            },
          ],
        },
      };
      allowed(await plane.request('/apis/mercato.dev/v1alpha1/pciboundaries', { method: 'POST', body }));
      await until('the boundary counts', async () => (await attempt(sam, shop, 'pods')).status === 403);
    });

    for (const plural of Object.keys(workloads)) {
      it(`are given to ${plural} by administrators only`, async () => {
        forbidden(await attempt(sam, shop, plural), 'card-callers', 'use other labels');
        allowed(await attempt(ada, shop, plural));
        allowed(await attempt(sam, elsewhere, plural));
      });
    }

    it('are not taken on by a pod that runs', async () => {
      allowed(await make(sam, shop, 'pods', podOf('changeling'), false));
      forbidden(await change(sam, pathOf(shop, 'pods', 'changeling'), { metadata: { labels } }), 'card-callers');
      allowed(await change(sam, pathOf(shop, 'pods', 'changeling'), { metadata: { labels: { team: 'a' } } }));
    });

    it('do not keep others from changing what a caller is otherwise', async () => {
      allowed(await make(ada, shop, 'pods', podOf('caller', {}, { labels }), false));
      allowed(await change(sam, pathOf(shop, 'pods', 'caller'), { metadata: { annotations: { a: 'b' } } }));
    });

    it("are put on pods by Kubernetes' own controllers, for owners that were looked at", async () => {
      const controller = 'system:serviceaccount:kube-system:replicaset-controller';
      await grant(controller, `controller-${suffix}`, [{ apiGroups: [''], resources: ['pods'], verbs: ['create'] }]);
      allowed(await attempt(await as(plane, controller), shop, 'pods'));
    });
  });

  describe('Probes', () => {
    const probe = (
      spec: object = {},
      container: object = {},
      probeLabels: object = { 'mercato.dev/boundary-probe': 'shop' },
    ) => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'probe' },
      spec: {
        template: {
          metadata: { labels: { 'app.kubernetes.io/name': 'shipping', ...probeLabels } },
          spec: {
            restartPolicy: 'Never',
            automountServiceAccountToken: false,
            containers: [{ ...CONTAINER, ...container }],
            ...spec,
          },
        },
      },
    });
    const job = (client: ApiClient, body: object): Answer =>
      client(`/apis/batch/v1/namespaces/${shop}/jobs?dryRun=All`, { method: 'POST', body });

    it('are started by the controller, with the labels of callers', async () => {
      allowed(await job(keeper, probe()));
    });

    it('are nothing that others pass their pods off as', async () => {
      // No caller's labels, which would be refused for themselves.
      const nobodys = { 'app.kubernetes.io/name': 'nobody', 'mercato.dev/boundary-probe': 'shop' };
      forbidden(await job(sam, probe({}, {}, nobodys)), 'card-probes', 'remove it');
      const labels = { 'mercato.dev/boundary-probe': 'shop' };
      forbidden(await make(sam, card, 'pods', podOf('fake', {}, { ...owned, labels })), 'card-probes');
      allowed(await make(ada, card, 'pods', podOf('fake', {}, { ...owned, labels })));
    });

    it('are all that the controller starts, and have no secrets', async () => {
      const nobodys = { 'app.kubernetes.io/name': 'nobody' };
      forbidden(await job(keeper, probe({}, {}, nobodys)), 'card-probes', 'probes only');
      forbidden(await job(keeper, probe({ automountServiceAccountToken: true })), 'card-probes', 'token');
      const volumes = [{ name: 'card-keys', secret: { secretName: 'keys' } }];
      forbidden(await job(keeper, probe({ volumes })), 'card-probes', 'volume');
      forbidden(await job(keeper, probe({ initContainers: [{ ...CONTAINER, name: 'init' }] })), 'card-probes');
      const secretRef = { name: 'keys' };
      forbidden(await job(keeper, probe({}, { envFrom: [{ secretRef }] })), 'card-probes');
      const valueFrom = { secretKeyRef: { name: 'keys', key: 'a' } };
      forbidden(await job(keeper, probe({}, { env: [{ name: 'A', valueFrom }] })), 'card-probes');
      allowed(await job(ada, probe({ volumes }, {}, {})));
    });
  });
});
