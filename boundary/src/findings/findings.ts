import { clip } from '@mercato/operator/api/clip.ts';
import {
  MAX_FINDING_MESSAGE,
  MAX_LISTED,
  type PciBoundaryStatus,
  type PciFinding,
} from '@mercato/operator/api/pciboundary.ts';
import type { Boundary } from '../policy/types.ts';
import { outsideSubject, serviceExposed } from './access.ts';
import { admissionMissing } from './admission.ts';
import { namespaceUndeclared, namespaceUnlabelled, podSecurity, quotaMissing } from './namespaces.ts';
import { nodeUntainted, podOffCardNodes, strangerOnCardNode, taintTolerated } from './nodes.ts';
import {
  defaultServiceAccount,
  ephemeralContainer,
  hostAccess,
  imageWithoutDigest,
  podUnowned,
  tokenMounted,
} from './pods.ts';
import {
  denyMissing,
  policyChanged,
  policyClusterWide,
  policyForeign,
  policyMissing,
  policyOtherKind,
} from './policies.ts';
import { type FindingRule, sceneOf } from './rule.ts';
import type { Found, Observed } from './types.ts';
import { cidrCoversPods, metadataReachable, podOpen, probesOff, wayUndeclared, wayUnused } from './ways.ts';

/** Every rule, the gravest first: a status names so many findings and no more. A new one is a line here. */
export const RULES: readonly FindingRule[] = [
  denyMissing,
  podOpen,
  metadataReachable,
  policyForeign,
  policyChanged,
  policyOtherKind,
  wayUndeclared,
  admissionMissing,
  hostAccess,
  podUnowned,
  serviceExposed,
  outsideSubject,
  ephemeralContainer,
  namespaceUnlabelled,
  podSecurity,
  podOffCardNodes,
  strangerOnCardNode,
  nodeUntainted,
  defaultServiceAccount,
  policyMissing,
  policyClusterWide,
  cidrCoversPods,
  taintTolerated,
  tokenMounted,
  imageWithoutDigest,
  quotaMissing,
  namespaceUndeclared,
  wayUnused,
  probesOff,
];

/** The longest `object` of a finding. */
const MAX_OBJECT = 192;

/**
 * What is not as it must be: violations first, then in the order of {@link RULES}, then by object. Pure: the same objects give the same list.
 * Messages are cut to what a status takes.
 */
export function findings(boundary: Boundary, observed: Observed): readonly Found[] {
  const scene = sceneOf(boundary, observed);
  const bySeverity = RULES.toSorted((a, b) => Number(a.severity === 'Warning') - Number(b.severity === 'Warning'));
  return bySeverity.flatMap(({ name, requirement, severity, find }) =>
    find(scene)
      .toSorted((a, b) => compare(a.object, b.object) || compare(a.message, b.message))
      .map(({ object, message }) => ({
        rule: name,
        requirement,
        severity,
        object: clip(object, MAX_OBJECT),
        message: clip(message, MAX_FINDING_MESSAGE),
      })),
  );
}

/**
 * The same findings with the time at which each was first seen: that of `before` where it had one of the same rule, object and message.
 *
 * @param now the wall clock as RFC 3339 text
 */
export function since(found: readonly Found[], before: readonly PciFinding[], now: string): readonly PciFinding[] {
  const key = ({ rule, object, message }: Found) => JSON.stringify([rule, object, message]);
  const known = new Map(before.map((finding) => [key(finding), finding.since]));
  return found.map((finding) => ({ ...finding, since: known.get(key(finding)) ?? now }));
}

/** What a status says of findings: the first few, and how many there are. */
export function summary(
  all: readonly PciFinding[],
): Required<Pick<PciBoundaryStatus, 'findings' | 'findingCount' | 'violationCount'>> {
  return {
    findings: all.slice(0, MAX_LISTED),
    findingCount: all.length,
    violationCount: all.filter(({ severity }) => severity === 'Violation').length,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
