import { ADMINISTER, CARD_DATA, ENFORCE, NODE_AGENTS, SYSTEM_NAMESPACES, YES } from '../labels.ts';

/** Which requests a policy looks at. `*` in a version is any. */
export interface RequestRule {
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly operations: readonly ('CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT')[];
  readonly resources: readonly string[];
}

/** One thing that must hold, in CEL, and what to do where it does not. */
export interface Validation {
  readonly expression: string;
  readonly message: string;
}

/** What there is to say about a policy; the rest is the same for all. */
export interface Rule {
  /** The policy is named `<name>.mercato.dev`. */
  readonly name: string;
  /** In namespaces for card data, in those that are not, in those without what may run on card nodes, or whatever the namespace. */
  readonly where: 'card' | 'not card' | 'off card nodes' | 'everywhere';
  readonly requests: readonly RequestRule[];
  /** The policy is skipped unless all hold. */
  readonly conditions?: readonly { readonly name: string; readonly expression: string }[];
  /** CEL by name, evaluated when first used. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Holders of the verb administer need not keep them. */
  readonly validations: readonly Validation[];
  /** Each of these objects says what is forbidden; without any the policy forbids nothing. */
  readonly params?: { readonly apiVersion: string; readonly kind: string };
}

/** An object as the API server takes it. */
export interface AdmissionObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>>;
}

const labels = { 'app.kubernetes.io/part-of': 'mercato', 'app.kubernetes.io/name': 'mercato-boundary' };
const GROUP = 'mercato.dev';

/** Whether the sender of the request holds a verb on pciboundaries. */
const holds = (verb: string): string =>
  `authorizer.group('${GROUP}').resource('pciboundaries').check('${verb}').allowed()`;

const NOT_CARD = { key: CARD_DATA, operator: 'NotIn', values: [YES] };
const SELECTORS: Readonly<Record<Rule['where'], object | undefined>> = {
  card: { matchLabels: { [CARD_DATA]: YES } },
  'not card': { matchExpressions: [NOT_CARD] },
  'off card nodes': {
    matchExpressions: [
      NOT_CARD,
      { key: NODE_AGENTS, operator: 'NotIn', values: [YES] },
      { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [...SYSTEM_NAMESPACES] },
    ],
  },
  everywhere: undefined,
};

/**
 * The policy and the binding that puts it into force. A policy that cannot be evaluated refuses (`failurePolicy: Fail`), but for one with params: where
 * the kind of its params is not installed it could not be evaluated for any pod of the cluster.
 */
export function policyOf(rule: Rule): readonly AdmissionObject[] {
  const name = `${rule.name}.${GROUP}`;
  const selector = SELECTORS[rule.where];
  const own = Object.entries(rule.variables ?? {}).map(([variable, expression]) => ({ name: variable, expression }));
  return [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name, labels },
      spec: {
        failurePolicy: rule.params === undefined ? 'Fail' : 'Ignore',
        ...(rule.params === undefined ? {} : { paramKind: rule.params }),
        matchConstraints: {
          ...(selector === undefined ? {} : { namespaceSelector: selector }),
          resourceRules: rule.requests.map((request) => ({ ...request })),
        },
        ...(rule.conditions === undefined ? {} : { matchConditions: rule.conditions }),
        variables: [
          { name: 'administers', expression: holds(ADMINISTER) },
          { name: 'enforces', expression: holds(ENFORCE) },
          ...own,
        ],
        // The authorizer is asked last, so only about requests that would be refused.
        validations: rule.validations.map(({ expression, message }) => ({
          expression: `(${expression}) || variables.administers`,
          message,
          reason: 'Forbidden',
        })),
      },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name, labels },
      spec: {
        policyName: name,
        // Audit also puts what was refused into the API server's audit log, where an assessor looks for it.
        validationActions: ['Deny', 'Audit'],
        ...(rule.params === undefined ? {} : { paramRef: { selector: {}, parameterNotFoundAction: 'Allow' } }),
      },
    },
  ];
}
