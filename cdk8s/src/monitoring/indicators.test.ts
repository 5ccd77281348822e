import { expect } from 'chai';
import { serviceOf } from '../model/derive.ts';
import { mercato } from '../model/mercato.ts';
import type { Promised } from './budget.ts';
import { bound, indicatorsOf } from './indicators.ts';
import { evaluate, parse } from './testing/promql.ts';

/** What an indicator counts, given rates by a part of their selectors; what is not given has no series. The most specific one counts. */
function counted(name: string, promised: Promised, rates: Readonly<Record<string, number>>) {
  const indicator = indicatorsOf(serviceOf(mercato, name))?.[promised];
  const value = (expr: string) =>
    evaluate(expr, parse(expr), (selector) => {
      const [key] = Object.keys(rates)
        .filter((parts) => parts.split(' ').every((part) => selector.includes(part)))
        .sort((a, b) => b.length - a.length);
      // A selection that nobody gave a rate for is none, even if a wider one has one.
      const narrowed = /status=~|reason=~|result=/.test(selector) && !/status|reason|result/.test(key ?? '');
      return key === undefined || narrowed ? undefined : rates[key];
    });
  return { bad: value(indicator?.bad('5m') ?? ''), all: value(indicator?.all('5m') ?? '') };
}

describe('What counts against the objective', () => {
  it('of a service: faults and requests that were turned away', () => {
    const of = (rates: Readonly<Record<string, number>>) => counted('inventory', 'availability', rates);
    const [commands, faults, turnedAway] = [
      'mercato_commands_total',
      'mercato_commands_total status=~',
      'overloaded_total',
    ];
    expect(of({ [commands]: 10, [turnedAway]: 0 })).to.deep.equal({ bad: 0, all: 10 });
    expect(of({ [commands]: 10, [faults]: 2, [turnedAway]: 3 })).to.deep.equal({ bad: 5, all: 13 });
    // Before the first command was answered.
    expect(of({ [turnedAway]: 3 })).to.deep.equal({ bad: 3, all: 3 });
    expect(of({})).to.deep.equal({ bad: undefined, all: undefined });
  });

  it('of the operator: orders that were held, or given up for technical reasons', () => {
    const of = (rates: Readonly<Record<string, number>>) => counted('mercato-operator', 'availability', rates);
    const [finished, holds, turned] = ['runs_finished_total', 'holds_total', 'compensations_total reason=~'];
    expect(of({ [finished]: 10 })).to.deep.equal({ bad: 0, all: 10 });
    expect(of({ [finished]: 10, [holds]: 1, [turned]: 2 })).to.deep.equal({ bad: 3, all: 11 });
    // An operator that was started into an outage has finished nothing yet.
    expect(of({ [holds]: 2 })).to.deep.equal({ bad: 2, all: 2 });
  });

  it('of the boundary: reconciles that failed', () => {
    const rates = { controller_runtime_reconcile_total: 8, 'controller_runtime_reconcile_total result=': 1 };
    expect(counted('mercato-boundary', 'availability', rates)).to.deep.equal({ bad: 1, all: 8 });
  });

  it('of latency: what took longer than the bound of the objective', () => {
    const of = (name: string, le: string) =>
      counted(name, 'latency', { seconds_count: 10, [`seconds_bucket ${le}`]: 7 });
    expect(of('inventory', 'le="0.1"')).to.deep.equal({ bad: 3, all: 10 });
    expect(of('payment', 'le=~"1(')).to.deep.equal({ bad: 3, all: 10 });
    expect(of('mercato-operator', 'le="0.5",outcome="Succeeded"')).to.deep.equal({ bad: 3, all: 10 });
  });

  it('names whole bounds as Prometheus 2 and 3 write them', () => {
    const matches = (seconds: number) =>
      new RegExp(`^(?:${JSON.parse(/"(.*)"/.exec(bound(seconds))?.[0] as string)})$`);
    for (const le of ['1', '1.0']) expect(le).to.match(matches(1));
    for (const le of ['10', '1.05', '0.1']) expect(le).not.to.match(matches(1));
    expect(bound(0.25)).to.equal('le="0.25"');
  });
});
