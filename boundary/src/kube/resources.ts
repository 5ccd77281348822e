import { pciBoundary } from '@mercato/operator/api/pciboundary.ts';
import { resourceOfKind } from '@mercato/operator/kube/kind.ts';
import { type Resource, resource } from '@mercato/operator/kube/resource.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import type {
  ObservedAdmission,
  ObservedNode,
  ObservedPod,
  ObservedRoleBinding,
  ObservedService,
} from '../findings/types.ts';
import type { NetworkPolicy } from '../policy/types.ts';

/** What the boundary's controller reads and writes, as the client addresses it. */

/** A pod of the cluster with what rules and probes read of it. */
export interface SeenPod extends ObservedPod {
  readonly status?: NonNullable<ObservedPod['status']> & {
    readonly podIP?: string;
    readonly message?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly state?: {
        readonly waiting?: { readonly reason?: string; readonly message?: string };
        readonly terminated?: { readonly message?: string; readonly exitCode?: number };
      };
    }[];
  };
}

/** batch/v1, as far as a probe needs it. */
export interface Job extends KubeObject {
  readonly spec?: object;
}

const core = <T extends KubeObject>(kind: string, plural: string, namespaced = true): Resource<T> =>
  resource<T>({ group: '', version: 'v1', kind, plural, namespaced });

export const pciBoundaries = resourceOfKind(pciBoundary);
export const networkPolicies: Resource<NetworkPolicy> = resource({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  namespaced: true,
});
export const pods: Resource<SeenPod> = core('Pod', 'pods');
export const services: Resource<ObservedService> = core('Service', 'services');
export const resourceQuotas: Resource<KubeObject> = core('ResourceQuota', 'resourcequotas');
export const nodes: Resource<ObservedNode> = core('Node', 'nodes', false);
export const roleBindings: Resource<ObservedRoleBinding> = resource({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  namespaced: true,
});
export const jobs: Resource<Job> = resource({
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  namespaced: true,
});

const admission = (kind: string, plural: string): Resource<ObservedAdmission> =>
  resource({ group: 'admissionregistration.k8s.io', version: 'v1', kind, plural, namespaced: false });

export const admissionPolicies = admission('ValidatingAdmissionPolicy', 'validatingadmissionpolicies');
export const admissionBindings = admission('ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings');
