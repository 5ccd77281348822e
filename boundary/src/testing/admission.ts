import type { ControlPlane } from '@mercato/controlplane';
import { as, installApi, messageOf, until } from '@mercato/operator/api/testing.ts';
import { admission } from '../admission.ts';
import { CARD_DATA, PROBE_OF } from '../labels.ts';

const installed = new WeakMap<ControlPlane, Promise<void>>();

/** Puts the kinds and the boundary's admission policies into a control plane, and returns when the policies refuse. Once for each control plane. */
export function installAdmission(plane: ControlPlane): Promise<void> {
  const known = installed.get(plane);
  if (known !== undefined) return known;
  const begun = install(plane);
  installed.set(plane, begun);
  return begun;
}

async function install(plane: ControlPlane): Promise<void> {
  await installApi(plane);
  for (const object of admission()) {
    const plural =
      object.kind === 'ValidatingAdmissionPolicy' ? 'validatingadmissionpolicies' : 'validatingadmissionpolicybindings';
    const path = `/apis/admissionregistration.k8s.io/v1/${plural}/${object.metadata.name}`;
    const answer = await plane.request(`${path}?fieldManager=test&force=true`, {
      method: 'PATCH',
      contentType: 'application/apply-patch+yaml',
      body: object,
    });
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  }
  await inForce(plane);
}

/** Policies come into force some time after they were stored, all together: when the first and the last refuse what they should. */
async function inForce(plane: ControlPlane): Promise<void> {
  const name = 'admission-probe';
  await cardNamespace(plane, name);
  const rules = [
    { apiGroups: ['networking.k8s.io', 'batch'], resources: ['networkpolicies', 'jobs'], verbs: ['create'] },
  ];
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }];
  await plane.request(`${rbac}/clusterroles`, { method: 'POST', body: { metadata: { name }, rules } });
  await plane.request(`${rbac}/clusterrolebindings`, {
    method: 'POST',
    body: { metadata: { name }, roleRef, subjects },
  });
  const client = await as(plane, name);
  const labels = { [PROBE_OF]: name };
  const containers = [{ name: 'x', image: 'x' }];
  const attempts: readonly (readonly [string, object])[] = [
    [
      `/apis/networking.k8s.io/v1/namespaces/${name}/networkpolicies`,
      { metadata: { name }, spec: { podSelector: {} } },
    ],
    [
      `/apis/batch/v1/namespaces/${name}/jobs`,
      {
        metadata: { name },
        spec: { template: { metadata: { labels }, spec: { restartPolicy: 'Never', containers } } },
      },
    ],
  ];
  for (const [path, body] of attempts)
    await until(`policies on ${path} are in force`, async () => {
      const answer = await client(`${path}?dryRun=All`, { method: 'POST', body });
      return answer.status === 403 && messageOf(answer).includes('ValidatingAdmissionPolicy');
    });
}

/** Makes a namespace for card data, as whoever administers the boundary does. */
export async function cardNamespace(plane: ControlPlane, name: string): Promise<void> {
  const labels = { [CARD_DATA]: 'true', 'pod-security.kubernetes.io/enforce': 'restricted' };
  const answer = await plane.request('/api/v1/namespaces', {
    method: 'POST',
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
  });
  if (answer.status !== 201) throw new Error(`namespace ${name}: ${JSON.stringify(answer.body)}`);
}
