import { findCondition } from '@mercato/operator/api/conditions.ts';
import { API_VERSION } from '@mercato/operator/api/kind.ts';
import { MAX_LISTED, type PciBoundary, type PciBoundaryStatus } from '@mercato/operator/api/pciboundary.ts';
import { expect } from 'chai';
import type { Found } from '../findings/types.ts';
import { boundaryOf } from '../testing/boundary.ts';
import type { RoundResult } from './probes.ts';
import { reviewAfter, type StatusInputs, statusOf } from './status.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;

function boundaryWith(status?: PciBoundaryStatus, generation = 1): PciBoundary {
  const { metadata, spec } = boundaryOf({ probes: { interval: '10m', namespaces: ['shop'] } });
  const object = { apiVersion: API_VERSION, kind: 'PciBoundary', spec } as const;
  return { ...object, metadata: { ...metadata, uid: 'u', generation }, ...(status === undefined ? {} : { status }) };
}

const finding = (rule: string, severity: Found['severity'] = 'Violation'): Found => ({
  rule,
  requirement: '1.3.1',
  severity,
  object: 'Pod card/payment-0',
  message: 'mend it',
});
const round = (at: number, generation = 1): RoundResult => ({
  generation,
  at,
  results: [
    { from: 'a', to: 'b', expected: 'Closed', observed: 'Open', message: 'it is open' },
    { from: 'a', to: 'c', expected: 'Open', observed: 'Open', message: 'opened' },
  ],
  verdict: { status: 'False', reason: 'CniDoesNotEnforce', message: 'one way opened' },
});

function status(inputs: Partial<StatusInputs> = {}): PciBoundaryStatus {
  return statusOf({
    boundary: boundaryWith(),
    standing: { generation: 1, problems: [] },
    found: [],
    matrix: { digest: '0123456789abcdef', ways: 3, workloads: 2 },
    round: undefined,
    probed: true,
    reverts: 0,
    lastReverted: undefined,
    now: NOW,
    ...inputs,
  });
}

const condition = (of: PciBoundaryStatus, type: string): string => {
  const { status: holds, reason } = findCondition(of.conditions, type) ?? {};
  return `${holds} ${reason}`;
};

describe('The status of a PciBoundary', () => {
  it('is the same when nothing has changed, so that nothing is written', () => {
    const before = status({ found: [finding('host-access')], round: round(NOW) });
    expect(
      status({ boundary: boundaryWith(before), found: [finding('host-access')], now: NOW + MINUTE }),
    ).to.deep.equal(before);
  });

  it('is accepted when its policies stand, and else says why not', () => {
    expect(condition(status(), 'Accepted')).to.equal('True PoliciesKept');
    expect(condition(status({ standing: { generation: undefined, problems: [] } }), 'Accepted')).to.equal(
      'Unknown Applying',
    );
    const problems = [
      { reason: 'NamespaceTaken', message: 'the namespace card belongs to another' },
      { reason: 'WriteFailed', message: 'x' },
    ] as const;
    const made = status({ standing: { generation: undefined, problems } });
    expect(condition(made, 'Accepted')).to.equal('False NamespaceTaken');
    expect(findCondition(made.conditions, 'Accepted')?.message).to.match(/another \(and 1 more\)$/);
  });

  it('is compliant with warnings and not with violations', () => {
    expect(condition(status(), 'Compliant')).to.equal('True NoViolation');
    expect(condition(status({ found: [finding('quota-missing', 'Warning')] }), 'Compliant')).to.equal(
      'True NoViolation',
    );
    const made = status({ found: [finding('host-access'), finding('quota-missing', 'Warning')] });
    expect(condition(made, 'Compliant')).to.equal('False Violations');
    expect(made).to.include({ findingCount: 2, violationCount: 1 });
  });

  it('names so many findings and counts the rest', () => {
    const found = Array.from({ length: 30 }, (_, index) => finding(`rule-${index}`));
    const made = status({ found });
    expect(made.findings).to.have.length(MAX_LISTED);
    expect(made).to.include({ findingCount: 30, violationCount: 30 });
  });

  it('remembers since when a finding is there', () => {
    const before = status({ found: [finding('host-access')] });
    const later = status({
      boundary: boundaryWith(before),
      found: [finding('host-access'), finding('pod-open')],
      now: NOW + MINUTE,
    });
    expect(later.findings?.map(({ since }) => since)).to.deep.equal(['2026-11-22T12:00:00Z', '2026-11-22T12:01:00Z']);
  });

  it('adds what was put back to what was before', () => {
    const before = status({ reverts: 2, lastReverted: NOW });
    expect(before).to.include({ reverted: 2, lastReverted: '2026-11-22T12:00:00Z' });
    const later = status({ boundary: boundaryWith(before), reverts: 1, lastReverted: NOW + MINUTE });
    expect(later).to.include({ reverted: 3, lastReverted: '2026-11-22T12:01:00Z' });
    expect(status({ boundary: boundaryWith(later) })).to.include({ reverted: 3, lastReverted: '2026-11-22T12:01:00Z' });
  });

  describe('says of enforcement', () => {
    const later = (before: PciBoundaryStatus, minutes: number, more: Partial<StatusInputs> = {}): string =>
      condition(status({ boundary: boundaryWith(before), now: NOW + minutes * MINUTE, ...more }), 'Enforced');

    it('what the last probes say, also after a restart', () => {
      expect(condition(status(), 'Enforced')).to.equal('Unknown Probing');
      const before = status({ round: round(NOW) });
      expect(condition(before, 'Enforced')).to.equal('False CniDoesNotEnforce');
      expect(before.probes).to.include({ passed: 1, failed: 1, lastTime: '2026-11-22T12:00:00Z' });
      expect(later(before, 5)).to.equal('False CniDoesNotEnforce');
    });

    it('nothing any more when those are too old', () => {
      const before = status({ round: round(NOW) });
      expect(later(before, 24)).to.equal('False CniDoesNotEnforce');
      expect(later(before, 26)).to.equal('Unknown ResultsExpired');
      expect(later(before, 26, { round: round(NOW) }), 'in the same process').to.equal('Unknown ResultsExpired');
      expect(reviewAfter(boundaryWith(), before, NOW + 5 * MINUTE)).to.equal(20 * MINUTE);
      expect(reviewAfter(boundaryWith(), status(), NOW)).to.equal(undefined);
    });

    it('which generation they proved', () => {
      const made = status({ boundary: boundaryWith(undefined, 2), round: round(NOW, 1) });
      expect(findCondition(made.conditions, 'Enforced')?.observedGeneration).to.equal(1);
      expect(findCondition(made.conditions, 'Compliant')?.observedGeneration).to.equal(2);
    });

    it('that nothing proves it where nothing is probed, whatever was proven before', () => {
      const before = status({ round: round(NOW) });
      const made = status({ boundary: boundaryWith(before), probed: false });
      expect(condition(made, 'Enforced')).to.equal('Unknown NotProbed');
      expect(made.probes).to.equal(undefined);
    });
  });
});
