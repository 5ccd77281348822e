import type { PciFinding } from '@mercato/operator/api/pciboundary.ts';
import type { KubeObject, Namespace, ServiceAccount } from '@mercato/operator/kube/types.ts';
import type { NetworkPolicy } from '../policy/types.ts';

/**
 * What the rules look at: objects of the API server as they are on the wire, with the fields that a rule reads and no others. A cache may drop
 * the rest.
 */

/** https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#scheduling */
export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

/** A container, of whichever of a pod's three lists. */
export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly ports?: readonly {
    readonly name?: string;
    readonly containerPort: number;
    readonly hostPort?: number;
    readonly protocol?: string;
  }[];
}

/** core/v1 Pod. */
export interface ObservedPod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly automountServiceAccountToken?: boolean;
    readonly hostNetwork?: boolean;
    readonly hostPID?: boolean;
    readonly hostIPC?: boolean;
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly ephemeralContainers?: readonly Container[];
    readonly tolerations?: readonly Toleration[];
  };
  readonly status?: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

/** core/v1 Node. */
export interface ObservedNode extends KubeObject {
  readonly spec?: {
    readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  };
}

/** core/v1 Service. */
export interface ObservedService extends KubeObject {
  readonly spec?: { readonly type?: string; readonly externalIPs?: readonly string[] };
}

/** rbac.authorization.k8s.io/v1 RoleBinding. */
export interface ObservedRoleBinding extends KubeObject {
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[];
}

/** admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy or ValidatingAdmissionPolicyBinding; the spec of ours only. */
export interface ObservedAdmission extends KubeObject {
  readonly spec?: object;
}

/** All that is looked at. A list that the controller does not watch is left out, and the rules that need it find nothing. */
export interface Observed {
  /** All namespaces: which are for card data, and which hold node agents. */
  readonly namespaces: readonly Namespace[];
  /** NetworkPolicies of the card namespaces. */
  readonly policies: readonly NetworkPolicy[];
  /** Policies of other kinds in the card namespaces or for the whole cluster (Cilium's, Calico's, AdminNetworkPolicy), with apiVersion and kind. */
  readonly otherPolicies?: readonly KubeObject[];
  /** All pods of the cluster: those elsewhere may tolerate the card taint, or lie in a block that is taken for the outside. */
  readonly pods: readonly ObservedPod[];
  readonly nodes?: readonly ObservedNode[];
  /** All of the cluster, as the next. */
  readonly admissionPolicies?: readonly ObservedAdmission[];
  readonly admissionBindings?: readonly ObservedAdmission[];
  /** Of the card namespaces, as all that follow. */
  readonly serviceAccounts?: readonly ServiceAccount[];
  readonly quotas?: readonly KubeObject[];
  readonly services?: readonly ObservedService[];
  readonly roleBindings?: readonly ObservedRoleBinding[];
}

/** A finding before it is known since when. */
export type Found = Omit<PciFinding, 'since'>;
