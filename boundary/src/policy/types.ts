import type { PciBoundarySpec } from '@mercato/operator/api/pciboundary.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';

/**
 * NetworkPolicy of networking.k8s.io/v1 as it is on the wire.
 * https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
 */

/** What a rule's ports speak of. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';
/** Which way a policy governs. */
export type PolicyType = 'Ingress' | 'Egress';

/** Labels that an object must have: all of matchLabels and all of matchExpressions. Without either it selects everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelRequirement[];
}

/** One demand on a label. `NotIn` holds for an object without the label too. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

/** Addresses: `cidr` without those in `except`. */
export interface IpBlock {
  readonly cidr: string;
  readonly except?: readonly string[];
}

/** The other end of a rule: a block, or pods. Without namespaceSelector: pods of the policy's own namespace. */
export interface PolicyPeer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: IpBlock;
}

/** A port: a number, the first of a range that ends with endPort, or a container port's name. Absent: all ports of the protocol. */
export interface PolicyPort {
  readonly port?: number | string;
  readonly endPort?: number;
  /** @default TCP */
  readonly protocol?: Protocol;
}

/** Ways in that are allowed. No or empty `from`: from anywhere. No or empty `ports`: on every port. */
export interface IngressRule {
  readonly from?: readonly PolicyPeer[];
  readonly ports?: readonly PolicyPort[];
}

/** Ways out that are allowed. No or empty `to`: to anywhere. No or empty `ports`: on every port. */
export interface EgressRule {
  readonly to?: readonly PolicyPeer[];
  readonly ports?: readonly PolicyPort[];
}

/** What a policy selects and allows. Without policyTypes it governs ingress, and egress if it has egress rules. */
export interface NetworkPolicySpec {
  readonly podSelector?: LabelSelector;
  readonly ingress?: readonly IngressRule[];
  readonly egress?: readonly EgressRule[];
  readonly policyTypes?: readonly PolicyType[];
}

/** A NetworkPolicy, ours or another's. */
export interface NetworkPolicy extends KubeObject {
  readonly spec?: NetworkPolicySpec;
}

/** A policy as {@link desired} says it: everything spelled out. */
export interface DesiredPolicy extends NetworkPolicy {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: NetworkPolicy['metadata'] & {
    readonly namespace: string;
    readonly labels: Record<string, string>;
  };
  readonly spec: Required<Pick<NetworkPolicySpec, 'podSelector' | 'policyTypes'>> & NetworkPolicySpec;
}

/** What of a PciBoundary its policies follow from. With a uid they are owned by it, so that deleting it deletes them and leaves deny. */
export interface Boundary {
  readonly metadata: { readonly name: string; readonly uid?: string };
  readonly spec: PciBoundarySpec;
}
