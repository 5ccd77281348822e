import { type Condition, findCondition, type Observation, setCondition } from '@mercato/operator/api/conditions.ts';
import { parseDuration } from '@mercato/operator/api/durations.ts';
import {
  MAX_LISTED,
  type PciBoundary,
  type PciBoundaryStatus,
  type PciFinding,
} from '@mercato/operator/api/pciboundary.ts';
import { since, summary } from '../findings/findings.ts';
import type { Found } from '../findings/types.ts';
import { declared, policyHash } from '../policy/desired.ts';
import { passed } from '../probe/verdict.ts';
import type { Standing } from './ledger.ts';
import type { MatrixSummary } from './matrix.ts';
import type { RoundResult } from './probes.ts';

/** All that a status is made of. */
export interface StatusInputs {
  readonly boundary: PciBoundary;
  readonly standing: Standing;
  readonly found: readonly Found[];
  readonly matrix: MatrixSummary;
  /** The last round of probes that this process has seen end. */
  readonly round: RoundResult | undefined;
  /** Whether the boundary is probed at all. */
  readonly probed: boolean;
  /** What was put back and is in no status yet, and when last. */
  readonly reverts: number;
  readonly lastReverted: number | undefined;
  /** The wall clock. */
  readonly now: number;
}

/** Intervals that may pass without a round before the last one proves nothing any more, and what a round itself may take. */
const STALE_INTERVALS = 2;
const ROUND_MILLIS = 300_000;

/** The status of a boundary, as it follows from what was observed and from the status before. */
export function statusOf(inputs: StatusInputs): PciBoundaryStatus {
  const { boundary, standing, found, matrix, reverts, lastReverted, now } = inputs;
  const before = boundary.status ?? {};
  const { generation = 0 } = boundary.metadata;
  const policies = declared(boundary);
  const dated = since(found, before.findings ?? [], iso(now));
  const violations = dated.filter(({ severity }) => severity === 'Violation');
  const probes = probesOf(inputs);
  const observations = [accepted(standing, policies.length), enforced(inputs), compliant(violations, dated.length)];
  const conditions = observations.reduce(
    (list: readonly Condition[] | undefined, { observedGeneration = generation, ...rest }) =>
      setCondition(list, { ...rest, observedGeneration }, iso(now)),
    before.conditions,
  );
  return {
    observedGeneration: generation,
    conditions: [...(conditions ?? [])],
    ...summary(dated),
    ...(probes === undefined ? {} : { probes }),
    reverted: (before.reverted ?? 0) + reverts,
    ...(lastReverted === undefined
      ? before.lastReverted === undefined
        ? {}
        : { lastReverted: before.lastReverted }
      : { lastReverted: iso(lastReverted) }),
    policies: policies.slice(0, MAX_LISTED).map((policy) => ({
      namespace: policy.metadata.namespace,
      name: policy.metadata.name,
      hash: policyHash(policy),
    })),
    policyCount: policies.length,
    matrix,
  };
}

/** When a status must be worked out again though nothing has changed: when the probes' results become too old. In milliseconds from now. */
export function reviewAfter(boundary: PciBoundary, status: PciBoundaryStatus, now: number): number | undefined {
  const last = Date.parse(status.probes?.lastTime ?? '');
  if (Number.isNaN(last)) return undefined;
  return Math.max(1_000, last + bestBefore(boundary) - now);
}

type Observed = Omit<Observation, 'observedGeneration'> & { readonly observedGeneration?: number };

function accepted({ generation, problems }: Standing, policies: number): Observed {
  const [first] = problems;
  if (first !== undefined) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    return { type: 'Accepted', status: 'False', reason: first.reason, message: `${first.message}${more}` };
  }
  if (generation === undefined)
    return { type: 'Accepted', status: 'Unknown', reason: 'Applying', message: 'policies are being written' };
  return {
    type: 'Accepted',
    status: 'True',
    reason: 'PoliciesKept',
    message: `${policies} NetworkPolicies are in place`,
  };
}

function compliant(violations: readonly PciFinding[], findings: number): Observed {
  const [first] = violations;
  if (first !== undefined)
    return {
      type: 'Compliant',
      status: 'False',
      reason: 'Violations',
      message: `${violations.length} ${violations.length === 1 ? 'violation' : 'violations'}, as ${first.object}: ${first.message}`,
    };
  return {
    type: 'Compliant',
    status: 'True',
    reason: 'NoViolation',
    message: findings === 0 ? 'there are no findings' : `there are ${findings} warnings and no violation`,
  };
}

function enforced({ boundary, round, probed, now }: StatusInputs): Observed {
  const type = 'Enforced';
  if (!probed)
    return {
      type,
      status: 'Unknown',
      reason: 'NotProbed',
      message:
        'nothing proves that policies are enforced: name namespaces in spec.probes.namespaces, and an image for probes',
    };
  const before = findCondition(boundary.status?.conditions, type);
  const last = round?.at ?? Date.parse(boundary.status?.probes?.lastTime ?? '');
  if (Number.isNaN(last))
    return { type, status: 'Unknown', reason: 'Probing', message: 'the first probes have not ended yet' };
  if (now - last > bestBefore(boundary))
    return {
      type,
      status: 'Unknown',
      reason: 'ResultsExpired',
      message: `the last probes ended at ${iso(last)}, which is too long ago: see why none have ended since (kubectl get jobs -A -l mercato.dev/boundary-probe)`,
    };
  // A result speaks of the generation that it proved.
  if (round !== undefined) return { type, ...round.verdict, observedGeneration: round.generation };
  if (before === undefined || before.reason === 'NotProbed')
    return { type, status: 'Unknown', reason: 'Probing', message: 'the first probes have not ended yet' };
  const { status, reason, message, observedGeneration } = before;
  return { type, status, reason, message, ...(observedGeneration === undefined ? {} : { observedGeneration }) };
}

function probesOf({ boundary, round, probed }: StatusInputs): PciBoundaryStatus['probes'] {
  if (!probed) return undefined;
  if (round === undefined) return boundary.status?.probes;
  const good = round.results.filter(passed).length;
  return {
    lastTime: iso(round.at),
    passed: good,
    failed: round.results.length - good,
    results: round.results.slice(0, MAX_LISTED),
  };
}

/** How long results prove something, in milliseconds. */
function bestBefore({ spec }: PciBoundary): number {
  return STALE_INTERVALS * parseDuration(spec.probes.interval) + ROUND_MILLIS;
}

/** What makes two findings the same. */
export function identity({ rule, object }: Found): string {
  return `${rule} ${object}`;
}

/** RFC 3339, whole seconds, as other times in statuses. */
function iso(millis: number): string {
  return `${new Date(millis).toISOString().slice(0, 19)}Z`;
}
