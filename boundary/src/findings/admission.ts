import { canonicalJson } from '@mercato/operator/saga/canonical.ts';
import { admission } from '../admission.ts';
import type { FindingRule } from './rule.ts';
import type { ObservedAdmission } from './types.ts';

const POLICY = 'ValidatingAdmissionPolicy';
/** What our policies' and their bindings' names end with. */
export const OURS = '.mercato.dev';

/** What is not prevented can only be found afterwards, and some of it not at all. */
export const admissionMissing: FindingRule = {
  name: 'admission-missing',
  requirement: '1.2.8, 7.3.3',
  severity: 'Violation',
  holds:
    'The admission policies of the boundary and their bindings are those that this version of the controller installs.',
  find: ({ observed: { admissionPolicies, admissionBindings } }) => {
    if (admissionPolicies === undefined || admissionBindings === undefined) return [];
    const [policies, bindings] = [byName(admissionPolicies), byName(admissionBindings)];
    return admission().flatMap(({ kind, metadata: { name }, spec }) => {
      const there = (kind === POLICY ? policies : bindings).get(name);
      if (there !== undefined && said(there.spec) === said(spec)) return [];
      const how = there === undefined ? 'it is not there' : 'it is not what this version installs';
      const message = `${how}, so what it refuses may happen: install the chart mercato-boundary anew, with admission: true; the audit log says who changed it`;
      return [{ object: `${kind} ${name}`, message }];
    });
  },
};

const byName = (objects: readonly ObservedAdmission[]): ReadonlyMap<string, ObservedAdmission> =>
  new Map(objects.map((object) => [object.metadata.name, object]));

/** A spec without what the API server adds to those that say nothing of it. */
function said(spec: unknown): string {
  return canonicalJson(
    JSON.parse(JSON.stringify(spec ?? null), function (this: unknown, key, value: unknown) {
      if (key === 'scope' && value === '*') return undefined;
      if (key === 'matchPolicy' && value === 'Equivalent') return undefined;
      const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
      return (key === 'objectSelector' || key === 'namespaceSelector') && isEmpty ? undefined : value;
    }),
  );
}
