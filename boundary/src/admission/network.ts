import { CARD_DATA } from '../labels.ts';
import { BOUNDARY_LABEL } from '../policy/desired.ts';
import type { RequestRule, Rule } from './policy.ts';

/**
 * The namespace controller, which empties namespaces that go, and the garbage collector, which deletes what a PciBoundary owned: only policies that open
 * ways have an owner. By their own accounts or, where controllers share one, by that of the controller manager.
 */
const CLEANERS =
  "['system:serviceaccount:kube-system:namespace-controller', 'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager']";

const WRITES = ['CREATE', 'UPDATE', 'DELETE'] as const;
const KUBERNETES_OWN: RequestRule = {
  apiGroups: ['networking.k8s.io'],
  apiVersions: ['*'],
  operations: WRITES,
  resources: ['networkpolicies'],
};

/**
 * NetworkPolicies add up, so one more can only open a way: in a card namespace they are the controller's alone, the deny policy included. Cilium's and
 * Calico's own kinds open ways just as well. (The VPC CNI's PolicyEndpoints are not named: its controller derives them from NetworkPolicies.)
 */
export const networkPolicies: Rule = {
  name: 'card-networkpolicies',
  where: 'card',
  requests: [
    KUBERNETES_OWN,
    {
      apiGroups: ['crd.projectcalico.org', 'projectcalico.org'],
      apiVersions: ['*'],
      operations: WRITES,
      resources: ['networkpolicies'],
    },
    { apiGroups: ['cilium.io'], apiVersions: ['*'], operations: WRITES, resources: ['ciliumnetworkpolicies'] },
  ],
  validations: [
    {
      expression: `variables.enforces || request.operation == 'DELETE' && request.userInfo.username in ${CLEANERS}`,
      message:
        'the NetworkPolicies of a card namespace come from its PciBoundary: declare callers and destinations there, or ask a holder of the verb administer on pciboundaries',
    },
  ],
};

/**
 * The controller's account may write NetworkPolicies wherever RBAC lets it, which knows no namespace labels. So it is kept to card namespaces, and to
 * removing its own from what ceased to be one.
 */
export const enforcers: Rule = {
  name: 'card-enforcers',
  where: 'not card',
  requests: [KUBERNETES_OWN],
  validations: [
    {
      expression: `!variables.enforces || request.operation == 'DELETE' && '${BOUNDARY_LABEL}' in oldObject.metadata.?labels.orValue({})`,
      message: `whoever holds the verb enforce on pciboundaries writes NetworkPolicies in card namespaces only: label the namespace ${CARD_DATA}=true, or use another account`,
    },
  ],
};

/**
 * A Service that claims an address takes what any pod sends there: with that of the acquirer or of payment, card data (CVE-2020-8554). Where egress is
 * looked at before a Service's address is translated (VPC CNI), no policy would see it.
 */
export const addresses: Rule = {
  name: 'card-addresses',
  where: 'not card',
  requests: [
    {
      apiGroups: [''],
      apiVersions: ['v1'],
      operations: ['CREATE', 'UPDATE'],
      resources: ['services', 'services/status'],
    },
  ],
  variables: {
    claimed: 'object.?spec.?externalIPs.orValue([])',
    before: 'oldObject == null ? [] : oldObject.?spec.?externalIPs.orValue([])',
    balanced: 'object.?status.?loadBalancer.?ingress.orValue([])',
    balancedBefore: 'oldObject == null ? [] : oldObject.?status.?loadBalancer.?ingress.orValue([])',
  },
  validations: [
    {
      expression: 'variables.claimed.all(address, address in variables.before)',
      message:
        'externalIPs would take traffic for addresses that others call, the card namespaces included: use a load balancer, or ask a holder of the verb administer on pciboundaries',
    },
    {
      // Controllers of load balancers have this right in every namespace, whoever works in one has not.
      expression: `variables.balanced == variables.balancedBefore ||
        authorizer.group('').resource('services').subresource('status').check('patch').allowed() ||
        authorizer.group('').resource('services').subresource('status').check('update').allowed()`,
      message: 'the addresses of a load balancer are written by its controller: leave the status of the Service alone',
    },
  ],
};

/**
 * Where a Service of a card namespace leads is where its pods are: an address that somebody else writes would take what callers send to payment, past
 * their policies where egress is looked at before the address is translated (VPC CNI).
 */
export const endpoints: Rule = {
  name: 'card-endpoints',
  where: 'card',
  requests: [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['endpoints'] },
    {
      apiGroups: ['discovery.k8s.io'],
      apiVersions: ['*'],
      operations: ['CREATE', 'UPDATE'],
      resources: ['endpointslices'],
    },
  ],
  validations: [
    {
      // Kubernetes' own controllers have this right in every namespace, whoever works in one has not.
      expression: `authorizer.group('discovery.k8s.io').resource('endpointslices').check('create').allowed() ||
        authorizer.group('').resource('endpoints').check('create').allowed()`,
      message:
        "the addresses of a card namespace's Services are written by Kubernetes: give the Service a selector, and declare destinations outside in the PciBoundary",
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
