import { APP_NAME } from '../labels.ts';
import type { Rule } from './policy.ts';

/** What leaves the network that NetworkPolicies govern, or would not be governed by them. Pod Security refuses the first two too, as long as it is on. */
export const pods: Rule = {
  name: 'card-pods',
  where: 'card',
  requests: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
  variables: {
    containers: 'object.spec.containers + object.spec.?initContainers.orValue([])',
  },
  validations: [
    {
      expression:
        '!object.spec.?hostNetwork.orValue(false) && !object.spec.?hostPID.orValue(false) && !object.spec.?hostIPC.orValue(false)',
      message:
        "a pod of a card namespace may not use its node's network, processes or memory: remove hostNetwork, hostPID and hostIPC",
    },
    {
      expression: 'variables.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))',
      message:
        'a pod of a card namespace may not listen on its node: remove hostPort and declare the caller in the PciBoundary',
    },
    {
      // A kubelet may say so of any node that somebody took over, and a Service would send it orders.
      expression: "!request.userInfo.username.startsWith('system:node:')",
      message: 'a card namespace has no static pods: make a Deployment, a StatefulSet or a Job',
    },
    {
      // https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html, "Considerations"
      expression: 'size(object.metadata.?ownerReferences.orValue([])) > 0',
      message:
        'a pod of a card namespace needs an owner, since some network plugins enforce no policy on a pod without one: make a Deployment, a StatefulSet or a Job',
    },
  ],
};

/**
 * A pod's name label is what policies know it by: who could change it could give one service the ways of another. A write to its status writes its labels
 * too.
 */
export const podLabels: Rule = {
  name: 'card-pod-labels',
  where: 'card',
  requests: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['pods', 'pods/status'] }],
  validations: [
    {
      expression: `object.metadata.?labels['${APP_NAME}'].orValue('') == oldObject.metadata.?labels['${APP_NAME}'].orValue('')`,
      message: `the label ${APP_NAME} of a running pod of a card namespace does not change: change the template of its Deployment or StatefulSet`,
    },
  ],
};

/** A debug container is a program that nobody reviewed beside card data in memory. */
export const ephemeralContainers: Rule = {
  name: 'card-ephemeralcontainers',
  where: 'card',
  requests: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['pods/ephemeralcontainers'] }],
  validations: [
    {
      expression: 'false',
      message:
        'no debug containers in a card namespace: read logs and metrics, or ask a holder of the verb administer on pciboundaries',
    },
  ],
};

/**
 * Ways in through the API server. They end inside the pod (exec, attach, port-forward go through the kubelet; proxy through the API server), so no
 * NetworkPolicy sees them.
 */
export const connections: Rule = {
  name: 'card-connections',
  where: 'card',
  requests: [
    {
      apiGroups: [''],
      apiVersions: ['v1'],
      operations: ['CONNECT'],
      resources: ['pods/exec', 'pods/attach', 'pods/portforward', 'pods/proxy', 'services/proxy'],
    },
  ],
  validations: [
    {
      expression: 'false',
      message:
        'no exec, attach, port-forward or proxy into a card namespace, since they pass every NetworkPolicy: call the service as a declared caller does, or ask a holder of the verb administer on pciboundaries',
    },
  ],
};
