import { sharedControlPlane } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { admission } from '../admission.ts';
import { seenAdmission } from '../kube/projections.ts';
import { installAdmission } from '../testing/admission.ts';
import { boundaryOf } from '../testing/boundary.ts';
import { observedOf } from '../testing/observed.ts';
import { admissionMissing } from './admission.ts';
import { sceneOf } from './rule.ts';
import type { ObservedAdmission } from './types.ts';

const GROUP = '/apis/admissionregistration.k8s.io/v1';

describe('The finding admission-missing', function () {
  this.timeout(120_000);
  let policies: readonly ObservedAdmission[];
  let bindings: readonly ObservedAdmission[];

  before(async () => {
    const plane = await sharedControlPlane();
    await installAdmission(plane);
    const read = async (plural: string) => {
      const { body } = await plane.request(`${GROUP}/${plural}`);
      return (body as { items: ObservedAdmission[] }).items.map(seenAdmission);
    };
    [policies, bindings] = await Promise.all([
      read('validatingadmissionpolicies'),
      read('validatingadmissionpolicybindings'),
    ]);
  });

  const found = (admissionPolicies: readonly ObservedAdmission[], admissionBindings: readonly ObservedAdmission[]) => {
    const boundary = boundaryOf();
    const observed = observedOf(boundary, [], { admissionPolicies, admissionBindings });
    return admissionMissing.find(sceneOf(boundary, observed)).map(({ object }) => object);
  };
  const changed = (objects: readonly ObservedAdmission[], name: string, spec: object) =>
    objects.map((object) =>
      object.metadata.name === name ? { ...object, spec: { ...object.spec, ...spec } } : object,
    );
  const without = (objects: readonly ObservedAdmission[], name: string) =>
    objects.filter(({ metadata }) => metadata.name !== name);

  it('finds nothing in what a real API server stores of them', () => {
    expect(found(policies, bindings)).to.deep.equal([]);
  });

  it('finds a policy or a binding that is gone', () => {
    const name = 'card-pods.mercato.dev';
    expect(found(without(policies, name), bindings)).to.deep.equal([`ValidatingAdmissionPolicy ${name}`]);
    expect(found(policies, without(bindings, name))).to.deep.equal([`ValidatingAdmissionPolicyBinding ${name}`]);
    expect(found([], [])).to.have.length(admission().length);
  });

  it('finds a policy that refuses less', () => {
    const name = 'card-pods.mercato.dev';
    const never = [{ name: 'never', expression: 'false' }];
    const validations = [{ expression: 'true', message: 'all is well', reason: 'Forbidden' }];
    const selector = { matchLabels: { nobody: 'has' } };
    const stored = policies.find(({ metadata }) => metadata.name === name);
    const { matchConstraints } = (stored?.spec ?? {}) as { matchConstraints?: object };
    for (const change of [
      { failurePolicy: 'Ignore' },
      { matchConditions: never },
      { validations },
      { matchConstraints: { ...matchConstraints, objectSelector: selector } },
      { matchConstraints: { ...matchConstraints, excludeResourceRules: [{ apiGroups: ['*'] }] } },
    ])
      expect(found(changed(policies, name, change), bindings), JSON.stringify(change)).to.have.length(1);
  });

  it('finds a binding that does not deny, or not everywhere', () => {
    const name = 'card-callers.mercato.dev';
    for (const change of [
      { validationActions: ['Audit'] },
      { matchResources: { namespaceSelector: { matchLabels: { nobody: 'has' } } } },
      { paramRef: { name: 'another', parameterNotFoundAction: 'Allow' } },
    ])
      expect(found(policies, changed(bindings, name, change)), JSON.stringify(change)).to.have.length(1);
  });

  it('says nothing of the policies of others, nor where nobody looks', () => {
    const others = [{ metadata: { name: 'somebody.example.org' }, spec: { failurePolicy: 'Ignore' } }];
    expect(found([...policies, ...others], [...bindings, ...others])).to.deep.equal([]);
    const boundary = boundaryOf();
    expect(admissionMissing.find(sceneOf(boundary, observedOf(boundary, [])))).to.deep.equal([]);
  });
});
