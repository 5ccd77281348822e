import { expect } from 'chai';
import fc from 'fast-check';
import { serviceOf } from '../model/derive.ts';
import { mercato } from '../model/mercato.ts';
import type { Service } from '../model/types.ts';
import type { Alert } from './alert.ts';
import { budgetAlerts } from './alerts/budget.ts';
import { BURN_WINDOWS, budgetOf, HOURS, ObjectiveError, type Severity, WINDOWS, type Window } from './budget.ts';
import { evaluate, parse } from './testing/promql.ts';

const payment = serviceOf(mercato, 'payment');
const STEP_MINUTES = 5;

/** The expression of payment's alert on availability, as Prometheus gets it. */
const alertFor = (service: Service, severity: Severity): Alert =>
  budgetAlerts(service).find(({ name }) => name === `ErrorBudgetBurn${severity === 'page' ? 'Fast' : 'Slow'}`) as Alert;

/**
 * Feeds an alert with a steady load of which a share goes wrong, and tells when it fires.
 * @param badAt the share that goes wrong at a minute; before minute 0 nothing does
 * @param days how long to watch
 * @returns minutes at which it fires, at steps of `STEP_MINUTES`
 */
function firing({ expr }: Alert, badAt: (minute: number) => number, days: number): number[] {
  const parsed = parse(expr);
  const end = days * 24 * 60;
  const sums = [0];
  for (let minute = 0; minute < end; minute += 1) sums.push((sums[minute] as number) + badAt(minute));
  const ratio = (window: Window, now: number) =>
    ((sums[now] as number) - (sums[Math.max(0, now - HOURS[window] * 60)] as number)) / (HOURS[window] * 60);
  const fired: number[] = [];
  for (let now = 0; now <= end; now += STEP_MINUTES) {
    const sample = (selector: string) => ratio(/ratio_rate(\w+)\{/.exec(selector)?.[1] as Window, now);
    if (evaluate(expr, parsed, sample) !== undefined) fired.push(now);
  }
  return fired;
}

describe('An error budget', () => {
  const budget = budgetOf(payment.objective, 'availability');

  it('is what the objective leaves, without what binary fractions add', () => {
    expect(budget).to.equal(0.0005);
    expect(budgetOf(payment.objective, 'latency')).to.equal(0.01);
  });

  it('can be watched over only if an error rate could ever burn it 14.4 times too fast', () => {
    const at = (availability: number) => () => budgetOf({ ...payment.objective, availability }, 'availability');
    expect(at(100)).to.throw(ObjectiveError, 'less than 100%');
    expect(at(93)).to.throw(ObjectiveError, 'more than 93.05');
    expect(at(93.1)()).to.equal(0.069);
  });

  it('is watched with the windows of the workbook: the factor follows from budget and window, the short one is a twelfth', () => {
    for (const { budgetPercent, factor, long, short } of BURN_WINDOWS) {
      expect(factor).to.be.closeTo(((budgetPercent / 100) * HOURS['30d']) / HOURS[long], 1e-9);
      expect(HOURS[short]).to.be.closeTo(HOURS[long] / 12, 1e-9);
      expect(WINDOWS).to.include.members([long, short]);
    }
  });

  it('pages at once when nothing works, and ends within minutes of the repair', () => {
    const outage = firing(alertFor(payment, 'page'), (minute) => (minute < 60 ? 1 : 0), 1);
    expect(outage[0]).to.equal(5);
    // The pair of 6 h and 30 min holds on longest: 30 minutes after the end, less what the last bad minutes weigh.
    expect(outage.at(-1)).to.be.within(60, 90);
  });

  it('does not page for a short hiccup that costs little', () => {
    // 20 s of total outage every day: 0.023%, within a budget of 0.05%, and 1.5% of the budget of 30 days each time.
    const hiccup = (minute: number) => (minute % 1440 === 0 ? 1 / 3 : 0);
    expect(firing(alertFor(payment, 'page'), hiccup, 30)).to.deep.equal([]);
    expect(firing(alertFor(payment, 'ticket'), hiccup, 30)).to.deep.equal([]);
  });

  it('is never alerted on while errors stay within it', () => {
    const within = () => budget * 0.99;
    for (const severity of ['page', 'ticket'] as const)
      expect(firing(alertFor(payment, severity), within, 30)).to.deep.equal([]);
  });

  it('writes a ticket, and wakes nobody, when it would be gone within weeks', () => {
    const slowly = () => budget * 1.5;
    expect(firing(alertFor(payment, 'page'), slowly, 30)).to.deep.equal([]);
    // 10% of the budget, at 1.5 times the rate that uses up all of it in 30 days: after two days.
    expect(firing(alertFor(payment, 'ticket'), slowly, 5)[0]).to.be.closeTo(2 * 24 * 60, STEP_MINUTES);
  });

  it('alerts when the workbook says, whatever the error rate: factor * budget / rate of the long window', () => {
    const factors = fc.double({ min: 1.01, max: 500, noNaN: true });
    fc.assert(
      fc.property(factors, fc.constantFrom<Severity>('page', 'ticket'), (burn, severity) => {
        const rate = Math.min(1, burn * budget);
        const expected = BURN_WINDOWS.filter((pair) => pair.severity === severity && pair.factor * budget < rate)
          .map(({ factor, long }) => ((factor * budget) / rate) * HOURS[long] * 60)
          .sort((a, b) => a - b)[0];
        const first = firing(alertFor(payment, severity), () => rate, 3.1)[0];
        if (expected === undefined) expect(first).to.equal(undefined);
        else expect(first).to.be.within(expected, expected + STEP_MINUTES);
      }),
      { numRuns: 60 },
    );
  });

  it('is not alerted on where nothing was asked for', () => {
    for (const { expr } of budgetAlerts(payment).filter(({ name }) => name.includes('Budget')))
      expect(evaluate(expr, parse(expr), () => Number.NaN)).to.equal(undefined);
  });
});
