import type { PciProbeResult } from '@mercato/operator/api/pciboundary.ts';
import { expect } from 'chai';
import type { PlannedProbe } from './plan.ts';
import { resultOf, resultsOf, verdictOf } from './verdict.ts';
import type { WayReport } from './way.ts';

const NONE: WayReport = {
  id: '0',
  opened: 0,
  refused: 0,
  unreachable: 0,
  timedOut: 0,
  lastOpenedMs: -1,
  lastMs: 5_900,
};
const open = { ...NONE, opened: 20, lastOpenedMs: 5_900 };
const closed = { ...NONE, timedOut: 5 };
const atFirst = { ...NONE, opened: 3, timedOut: 4, lastOpenedMs: 700 };

const probe = (expected: 'Open' | 'Closed'): PlannedProbe => ({
  from: 'shop, a pod that nobody declared',
  namespace: 'shop',
  labels: {},
  card: false,
  ways: [{ to: 'card app=payment 8080/TCP', expected, host: '10.0.0.1', port: 8080, protocol: 'TCP' }],
});
const result = (expected: 'Open' | 'Closed', report: WayReport | undefined): PciProbeResult => {
  const [first] = resultsOf(probe(expected), report === undefined ? undefined : [report], 'its pod did not end');
  return first as PciProbeResult;
};
const good = [result('Open', open), result('Closed', closed)];

describe('What probes found', () => {
  it('is told with what happened at each attempt', () => {
    expect(result('Open', open)).to.include({ observed: 'Open', message: '20 attempts: 20 opened' });
    const refused = { ...NONE, refused: 2, unreachable: 1 };
    expect(result('Closed', refused)).to.include({
      observed: 'Closed',
      message: '3 attempts: 2 refused, 1 without a route',
    });
  });

  it('is unknown where a probe left no report, or not of this way', () => {
    expect(result('Closed', undefined)).to.include({ observed: 'Unknown', message: 'not tried: its pod did not end' });
    expect(result('Closed', { ...closed, id: '7' }).observed).to.equal('Unknown');
    const untried = { from: 'a', to: 'b', expected: 'Open', why: 'no pod is ready' } as const;
    expect(resultOf(untried)).to.include({ observed: 'Unknown', message: 'not tried: no pod is ready' });
  });
});

describe('The verdict', () => {
  it('is True when all is as declared', () => {
    expect(verdictOf(good)).to.include({ status: 'True', reason: 'AsDeclared' });
  });

  it('is False as soon as one forbidden way opened, whatever else is unknown', () => {
    const verdict = verdictOf([...good, result('Closed', open), result('Open', undefined)]);
    expect(verdict).to.include({ status: 'False', reason: 'CniDoesNotEnforce' });
    expect(verdict.message).to.match(
      /^1 forbidden way opened, as from shop.* to card app=payment 8080\/TCP: it is open/,
    );
  });

  it('is False for what was open for a pod’s first second only, and says what to switch', () => {
    const verdict = verdictOf([...good, result('Closed', atFirst)]);
    expect(verdict).to.include({ status: 'False', reason: 'OpenAtFirst' });
    expect(verdict.message).to.include('open for the first 700 ms').and.to.include('strict');
    const both = verdictOf([result('Closed', atFirst), result('Closed', open)]);
    expect(both.reason, 'the graver of two').to.equal('CniDoesNotEnforce');
  });

  it('is Unknown while a way could not be tried', () => {
    expect(verdictOf([...good, result('Closed', undefined)])).to.include({
      status: 'Unknown',
      reason: 'ProbesIncomplete',
    });
  });

  it('is Unknown where a declared way is closed: what is down is closed to everybody', () => {
    expect(verdictOf([...good, result('Open', closed)])).to.include({ status: 'Unknown', reason: 'AllowedWayClosed' });
  });

  it('is Unknown where nothing opened at all: a dead network is closed too', () => {
    expect(verdictOf([result('Closed', closed)])).to.include({ status: 'Unknown', reason: 'NothingOpened' });
    expect(verdictOf([])).to.include({ status: 'Unknown', reason: 'NothingOpened' });
  });
});
