import { address, DENY_ALL, declared, policyHash } from '../policy/desired.ts';
import type { DesiredPolicy, NetworkPolicy } from '../policy/types.ts';
import { type Fault, type FindingRule, named, type Scene } from './rule.ts';

/** The deny policy of every card namespace is there. */
export const denyMissing: FindingRule = {
  name: 'deny-missing',
  requirement: '1.3.1, 1.3.2',
  severity: 'Violation',
  holds:
    'Every card namespace has its policy default-deny. Without it a pod that no other policy names is open both ways.',
  find: (scene) =>
    missing(scene, (policy) => policy.metadata.name === DENY_ALL).map((policy) => ({
      object: named('NetworkPolicy', policy),
      message:
        'nothing denies what is not declared: install the chart mercato-boundary again, and see why the controller does not put it back',
    })),
};

/** The allow policies are there: what is missing closes a way that the shop needs. */
export const policyMissing: FindingRule = {
  name: 'policy-missing',
  requirement: '1.2.8',
  severity: 'Warning',
  holds:
    'Every policy that the boundary declares is in force. A missing one opens nothing, but closes a way that the shop needs.',
  find: (scene) =>
    missing(scene, (policy) => policy.metadata.name !== DENY_ALL).map((policy) => ({
      object: named('NetworkPolicy', policy),
      message:
        'a declared way is closed: the controller puts the policy back; if it stays away, read the condition Accepted',
    })),
};

/** What is in force is what is declared. */
export const policyChanged: FindingRule = {
  name: 'policy-changed',
  requirement: '1.2.8, 1.3.1, 1.3.2',
  severity: 'Violation',
  holds: 'The policies in force are the declared ones, field by field.',
  find: ({ boundary, observed }) => {
    const wanted = byAddress(declared(boundary));
    return observed.policies.flatMap((policy): Fault[] => {
      const declaredOne = wanted.get(address(policy));
      return declaredOne === undefined || policyHash(declaredOne) === policyHash(policy)
        ? []
        : [
            {
              object: named('NetworkPolicy', policy),
              message:
                'it is not as declared: the controller puts it back; find in the audit log who changed it, and take that right away',
            },
          ];
    });
  },
};

/** Nothing else opens a way: policies add up, so whatever another one allows is open. */
export const policyForeign: FindingRule = {
  name: 'policy-foreign',
  requirement: '1.2.5, 1.3.1, 1.3.2',
  severity: 'Violation',
  holds:
    'No policy but the declared ones allows anything in a card namespace. Policies add up: what any of them allows is open.',
  find: ({ boundary, observed }) => {
    const wanted = byAddress(declared(boundary));
    return observed.policies
      .filter((policy) => !wanted.has(address(policy)) && allows(policy))
      .map((policy) => ({
        object: named('NetworkPolicy', policy),
        message:
          'it allows what the boundary does not declare: delete it; if the shop needs the way, declare it under spec.ingress or spec.egress, and why',
      }));
  },
};

/** Policies of other kinds are not read by the evaluator, so nobody could say what they open. */
export const policyOtherKind: FindingRule = {
  name: 'policy-other-kind',
  requirement: '1.2.5, 1.2.8',
  severity: 'Violation',
  holds: 'Card namespaces have NetworkPolicies only: what the kinds of a CNI open there, the matrix does not show.',
  find: ({ observed, isCard }) =>
    (observed.otherPolicies ?? [])
      .filter(({ metadata }) => isCard(metadata.namespace))
      .map((policy) => ({
        object: named(policy.kind ?? 'Policy', policy),
        message: 'the boundary cannot see what it opens: delete it and declare the way in the PciBoundary',
      })),
};

/** Policies for the whole cluster come before or after NetworkPolicies, and can open what these deny. */
export const policyClusterWide: FindingRule = {
  name: 'policy-cluster-wide',
  requirement: '1.2.7, 1.2.8',
  severity: 'Warning',
  holds: 'No policy for the whole cluster goes before NetworkPolicies without somebody having looked at it.',
  find: ({ observed }) =>
    (observed.otherPolicies ?? [])
      .filter(({ metadata }) => metadata.namespace === undefined)
      .map((policy) => ({
        object: named(policy.kind ?? 'Policy', policy),
        message:
          'a policy for the whole cluster can open what NetworkPolicies deny: see that it leaves the card namespaces out, and keep that on record',
      })),
};

function missing({ boundary, observed }: Scene, isMeant: (policy: DesiredPolicy) => boolean): readonly DesiredPolicy[] {
  const there = byAddress(observed.policies);
  return declared(boundary).filter((policy) => isMeant(policy) && !there.has(address(policy)));
}

/** A policy without a rule in the directions that it governs denies, and closes nothing that is not closed. */
function allows({ spec }: NetworkPolicy): boolean {
  return (spec?.ingress ?? []).length > 0 || (spec?.egress ?? []).length > 0;
}

function byAddress<T extends NetworkPolicy>(policies: readonly T[]): ReadonlyMap<string, T> {
  return new Map(policies.map((policy) => [address(policy), policy]));
}
