import { CARD_DATA, NODE_AGENTS, YES } from '../labels.ts';
import type { Rule } from './policy.ts';

/** Rights in a card namespace are for its own service accounts; people get theirs from whoever administers the boundary. */
export const roleBindings: Rule = {
  name: 'card-rolebindings',
  where: 'card',
  requests: [
    {
      apiGroups: ['rbac.authorization.k8s.io'],
      apiVersions: ['v1'],
      operations: ['CREATE', 'UPDATE'],
      resources: ['rolebindings'],
    },
  ],
  validations: [
    {
      expression: `object.?subjects.orValue([]).all(s,
        s.kind == 'ServiceAccount' && s.?namespace.orValue('') == request.namespace ||
        s.kind == 'Group' && s.name == 'system:serviceaccounts:' + request.namespace)`,
      message:
        'a RoleBinding of a card namespace names service accounts of that namespace only: for people, groups and accounts from elsewhere ask a holder of the verb administer on pciboundaries',
    },
  ],
};

/** The value of a label of `object` or `oldObject`; empty where there is no such object or label. */
const labelOf = (which: 'object' | 'oldObject', label: string): string =>
  `(${which} == null ? '' : ${which}.metadata.?labels['${label}'].orValue(''))`;
const changes = (label: string): string => `${labelOf('oldObject', label)} != ${labelOf('object', label)}`;
const POD_SECURITY = ['enforce', 'enforce-version'].map((mode) => `pod-security.kubernetes.io/${mode}`);

/**
 * What a namespace is decides about everything else here. A namespace that says of itself that it is for card data would be let onto card nodes, one
 * that says so no more is without policies.
 */
export const namespaces: Rule = {
  name: 'card-namespaces',
  where: 'everywhere',
  requests: [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['namespaces'] },
  ],
  variables: {
    isCard: `${labelOf('object', CARD_DATA)} == '${YES}' || ${labelOf('oldObject', CARD_DATA)} == '${YES}'`,
  },
  validations: [
    {
      expression: `request.operation == 'DELETE' || !(${changes(CARD_DATA)})`,
      message: `the label ${CARD_DATA} of a namespace is set, changed and removed by holders of the verb administer on pciboundaries: ask one`,
    },
    {
      expression: `request.operation == 'DELETE' || !(${changes(NODE_AGENTS)})`,
      message: `the label ${NODE_AGENTS} lets a namespace's pods onto card nodes: ask a holder of the verb administer on pciboundaries to change it`,
    },
    {
      expression: `request.operation == 'DELETE' || !variables.isCard || !(${POD_SECURITY.map(changes).join(' || ')})`,
      message:
        'Pod Security of a card namespace stays as it is: keep pod-security.kubernetes.io/enforce and enforce-version, or ask a holder of the verb administer on pciboundaries',
    },
    {
      expression: "request.operation != 'DELETE' || !variables.isCard",
      message: 'a card namespace is deleted by holders of the verb administer on pciboundaries: ask one',
    },
  ],
};
