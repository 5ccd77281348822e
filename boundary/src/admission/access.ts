import { pciBoundary } from '@mercato/operator/api/pciboundary.ts';
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

/**
 * A token of a card service is its identity towards AWS (IRSA) and towards whom it calls. Kubelets ask for those of the pods that they run; nobody else
 * needs one, and a Secret would hold one that does not expire.
 */
export const tokens: Rule = {
  name: 'card-tokens',
  where: 'card',
  requests: [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['serviceaccounts/token'] },
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['secrets'] },
  ],
  validations: [
    {
      expression: `request.resource.resource == 'serviceaccounts' ? request.userInfo.username.startsWith('system:node:') :
        object.?type.orValue('') != 'kubernetes.io/service-account-token' || oldObject != null`,
      message:
        'tokens of a card namespace are given to its pods only, by their kubelets: mount a projected token, or ask a holder of the verb administer on pciboundaries',
    },
  ],
};

/** The controller keeps what is declared and declares nothing: its account may patch a PciBoundary for the finalizer alone. */
export const declarations: Rule = {
  name: 'card-declarations',
  where: 'everywhere',
  requests: [
    {
      apiGroups: ['mercato.dev'],
      apiVersions: ['*'],
      operations: ['CREATE', 'UPDATE'],
      resources: [pciBoundary.plural],
    },
  ],
  validations: [
    {
      expression: 'oldObject != null && object.spec == oldObject.spec || !variables.enforces',
      message:
        'whoever holds the verb enforce on pciboundaries keeps boundaries and draws none: have a holder of the verb administer change the spec',
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
    {
      apiGroups: [''],
      apiVersions: ['v1'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      // Writes to the latter two write labels too, and whoever may do all in a namespace may do these.
      resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'],
    },
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
