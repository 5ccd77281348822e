import type { Rule } from './policy.ts';

/** The namespace controller, by its own account or, where controllers share one, by that of the controller manager: it empties namespaces that go. */
const NAMESPACE_CONTROLLERS =
  "['system:serviceaccount:kube-system:namespace-controller', 'system:kube-controller-manager']";

/**
 * NetworkPolicies add up, so one more can only open a way: in a card namespace they are the controller's alone, the deny policy included. Cilium's and
 * Calico's own kinds open ways just as well. (The VPC CNI's PolicyEndpoints are not named: its controller derives them from NetworkPolicies.)
 */
export const networkPolicies: Rule = {
  name: 'card-networkpolicies',
  where: 'card',
  requests: [
    {
      apiGroups: ['networking.k8s.io', 'crd.projectcalico.org', 'projectcalico.org'],
      apiVersions: ['*'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      resources: ['networkpolicies'],
    },
    {
      apiGroups: ['cilium.io'],
      apiVersions: ['*'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      resources: ['ciliumnetworkpolicies'],
    },
  ],
  validations: [
    {
      expression: `variables.enforces || request.operation == 'DELETE' && request.userInfo.username in ${NAMESPACE_CONTROLLERS}`,
      message:
        'the NetworkPolicies of a card namespace come from its PciBoundary: declare callers and destinations there, or ask a holder of the verb administer on pciboundaries',
    },
  ],
};

/** Services of a card namespace are reached from inside the cluster only, by whom the PciBoundary names, and stand for pods of the namespace. */
export const services: Rule = {
  name: 'card-services',
  where: 'card',
  requests: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['services'] }],
  variables: {
    type: "object.spec.?type.orValue('ClusterIP')",
    outside: 'object.spec.?externalIPs.orValue([])',
    // A service that was there before must still lose its load balancer's finalizer.
    before: "oldObject == null ? 'ClusterIP' : oldObject.spec.?type.orValue('ClusterIP')",
    outsideBefore: 'oldObject == null ? [] : oldObject.spec.?externalIPs.orValue([])',
  },
  validations: [
    {
      expression: "variables.type == 'ClusterIP' || variables.type == variables.before",
      message:
        'a Service of a card namespace is of type ClusterIP: LoadBalancer and NodePort would let the outside in, ExternalName would send callers out; put what faces the outside into another namespace and declare it as a caller in the PciBoundary',
    },
    {
      expression: 'size(variables.outside) == 0 || variables.outside == variables.outsideBefore',
      message: 'a Service of a card namespace takes no externalIPs: remove them and have callers use its cluster IP',
    },
  ],
};
