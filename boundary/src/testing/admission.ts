import type { ControlPlane } from '@mercato/controlplane';
import { installApi, until } from '@mercato/operator/api/testing.ts';
import { admission } from '../admission.ts';
import { CARD_DATA } from '../labels.ts';

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

export { until };
