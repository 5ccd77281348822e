import { CARD_DATA, CARD_TAINT, NODE_AGENTS } from '../labels.ts';
import type { Rule } from './policy.ts';

const { key, value, effect } = CARD_TAINT;

/** Whether a toleration `t` fits the card taint, by the rules of https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
const FITS = `t.?effect.orValue('') in ['', '${effect}'] &&
  t.?key.orValue('') in ['', '${key}'] &&
  (t.?operator.orValue('Equal') == 'Exists' || t.?value.orValue('') == '${value}')`;

/** Card nodes are for pods of card namespaces: others may neither tolerate their taint nor go round the scheduler, which alone looks at it. */
export const tolerations: Rule = {
  name: 'card-tolerations',
  where: 'off card nodes',
  requests: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['pods'] }],
  variables: {
    // A pod's tolerations can only grow. One that was there before must still lose its finalizers.
    before: 'oldObject == null ? 0 : size(oldObject.spec.?tolerations.orValue([]))',
    now: 'object.spec.?tolerations.orValue([])',
  },
  validations: [
    {
      expression: `size(variables.now) == variables.before || !variables.now.exists(t, ${FITS})`,
      message: `only pods of card namespaces run on card nodes: name the taints to tolerate instead of all, without ${key}; for a node agent, ask a holder of the verb administer on pciboundaries to label its namespace ${NODE_AGENTS}=true`,
    },
    {
      // The kubelet looks at NoExecute taints only. Its own static pods come to the API server with a node's name.
      expression:
        "request.operation != 'CREATE' || object.spec.?nodeName.orValue('') == '' || request.userInfo.username.startsWith('system:node:')",
      message: `a pod may not name its node, since that goes round the taint of card nodes: use nodeSelector or affinity on kubernetes.io/hostname; for a node agent, ask a holder of the verb administer on pciboundaries to label its namespace ${NODE_AGENTS}=true`,
    },
  ],
};

/**
 * A binding puts a pod on a node whatever its taints, and its labels onto the pod. Schedulers have the right to it in every namespace; one that is given
 * for a namespace goes round them.
 */
export const bindings: Rule = {
  name: 'card-bindings',
  where: 'everywhere',
  requests: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods/binding', 'bindings'] }],
  validations: [
    {
      expression: `request.userInfo.username == 'system:kube-scheduler' ||
        authorizer.group('').resource('pods').subresource('binding').check('create').allowed()`,
      message:
        'pods are put on nodes by schedulers, which alone look at the taint of card nodes: use nodeSelector or affinity',
    },
  ],
};

/**
 * Card pods go where the label is. A kubelet may write labels of its own node, and one that somebody took over would have card pods come to it: a node has
 * the label from its node group, when it registers, or from an administrator.
 */
export const nodes: Rule = {
  name: 'card-nodes',
  where: 'everywhere',
  requests: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['nodes', 'nodes/status'] }],
  validations: [
    {
      expression: `!request.userInfo.username.startsWith('system:node:') ||
        object.metadata.?labels['${CARD_DATA}'].orValue('') == oldObject.metadata.?labels['${CARD_DATA}'].orValue('')`,
      message: `a node does not change its own label ${CARD_DATA}: set it in its node group`,
    },
  ],
};
