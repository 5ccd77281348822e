import { GROUP, VERSION } from './kind.ts';

/**
 * Admission policies: what an object's schema cannot check, because it concerns who sends it. CRD rules see objects only; a
 * ValidatingAdmissionPolicy sees the request and may ask the authorizer.
 */

interface Signed {
  readonly name: string;
  readonly plural: string;
  /** The field of spec that a person signs with `by`. */
  readonly field: string;
  /** The verb that whoever sets the field needs, besides the one that writes the object. */
  readonly verb: string;
  /** The ClusterRole that has the verb. */
  readonly role: string;
}

const SIGNED: readonly Signed[] = [
  { name: 'decisions', plural: 'ordersagaruns', field: 'decision', verb: 'decide', role: 'mercato-operate' },
  { name: 'approvals', plural: 'restockorders', field: 'approval', verb: 'approve', role: 'mercato-approve' },
];

/** The policies and the bindings that put them into force, everywhere. */
export function policies(): object[] {
  return SIGNED.flatMap((signed) => [policy(signed), binding(signed)]);
}

const nameOf = ({ name }: Signed): string => `${name}.${GROUP}`;

function policy(signed: Signed): object {
  const { plural, field, verb, role } = signed;
  const now = `object.spec.${field}`;
  const old = `oldObject.spec.${field}`;
  const may = (what: string) =>
    `authorizer.group('${GROUP}').resource('${plural}').namespace(request.namespace).check('${what}').allowed()`;
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: nameOf(signed), labels: { 'app.kubernetes.io/part-of': 'mercato' } },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          { apiGroups: [GROUP], apiVersions: [VERSION], operations: ['CREATE', 'UPDATE'], resources: [plural] },
        ],
      },
      matchConditions: [
        {
          name: `sets-${field}`,
          // Whoever changes something else, such as the operator a finalizer, carries the field of another along and signs nothing.
          expression: `has(${now}) && (oldObject == null || !has(${old}) || ${now} != ${old})`,
        },
      ],
      variables: [
        {
          name: 'restores',
          // A backup's objects come with what others signed; only whoever may do that (cluster-admin may) creates them.
          expression: `oldObject == null && ${may('restore')}`,
        },
      ],
      validations: [
        {
          expression: `${now}.by == request.userInfo.username || variables.restores`,
          messageExpression: `"${field}.by must be the user that sends it: set it to " + request.userInfo.username`,
          message: `${field}.by must be the user that sends it`,
          reason: 'Forbidden',
        },
        {
          expression: `${may(verb)} || variables.restores`,
          message: `to set ${field} needs the verb ${verb} on ${plural}: ask for the ClusterRole ${role}`,
          reason: 'Forbidden',
        },
      ],
    },
  };
}

const binding = (signed: Signed): object => bindingOf(nameOf(signed));

function bindingOf(name: string): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name, labels: { 'app.kubernetes.io/part-of': 'mercato' } },
    spec: { policyName: name, validationActions: ['Deny'] },
  };
}

/**
 * Refuses new runs while the operator is being uninstalled: whoever sends an order learns that it was not taken, instead of leaving it where nobody looks.
 * In force only while the drain runs.
 */
export function intakeClosed(): object[] {
  const name = `draining.${GROUP}`;
  return [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name, labels: { 'app.kubernetes.io/part-of': 'mercato' } },
      spec: {
        // A policy that cannot be evaluated must not be why an order is lost.
        failurePolicy: 'Ignore',
        matchConstraints: {
          resourceRules: [
            { apiGroups: [GROUP], apiVersions: [VERSION], operations: ['CREATE'], resources: ['ordersagaruns'] },
          ],
        },
        validations: [
          {
            expression: 'false',
            message: 'the operator is being uninstalled and takes no new orders: send it again when it is back',
            reason: 'Forbidden',
          },
        ],
      },
    },
    bindingOf(name),
  ];
}
