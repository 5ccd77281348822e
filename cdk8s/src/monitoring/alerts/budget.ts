import type { Service } from '../../model/types.ts';
import type { Alert, Rule } from '../alert.ts';
import {
  BURN_WINDOWS,
  budgetOf,
  exact,
  PROMISES,
  type Promised,
  type Severity,
  WINDOWS,
  type Window,
} from '../budget.ts';
import { type Indicators, indicatorsOf } from '../indicators.ts';

/** Share of a service's throughput from which on somebody should plan for more. */
const NEAR_LIMIT = 0.8;

const selector = ({ name }: Service, promised: Promised): string => `{service="${name}",objective="${promised}"}`;

/** The recorded share of bad events. */
export const ratioOf = (service: Service, promised: Promised, window: Window): string =>
  `mercato:sli_error:ratio_rate${window}${selector(service, promised)}`;

/**
 * What Prometheus computes once for alerts and dashboards: events and bad events a second over 5 minutes, and their ratio over each window. A longer window
 * is the sum of the 5-minute rates in it, so that 30 days cost a few series and not every sample of them.
 */
export function recordingRules(service: Service): Rule[] {
  const indicators = indicatorsOf(service);
  if (indicators === undefined) return [];
  return PROMISES.flatMap((promised) => {
    const labels = { service: service.name, objective: promised };
    const indicator = indicators[promised];
    if (indicator === undefined) return [];
    const { all, bad } = indicator;
    const [events, errors] = [`mercato:sli_events:rate5m`, `mercato:sli_errors:rate5m`];
    const over = (record: string, window: Window) =>
      `sum_over_time(${record}${selector(service, promised)}[${window}])`;
    return [
      { record: events, expr: all('5m'), labels },
      { record: errors, expr: bad('5m'), labels },
      ...WINDOWS.map((window) => ({
        record: `mercato:sli_error:ratio_rate${window}`,
        expr:
          window === '5m'
            ? `${errors}${selector(service, promised)} / ${events}${selector(service, promised)}`
            : `${over(errors, window)} / ${over(events, window)}`,
        labels,
      })),
    ];
  });
}

const NAMES: Readonly<Record<Promised, Readonly<Record<Severity, string>>>> = {
  availability: { page: 'ErrorBudgetBurnFast', ticket: 'ErrorBudgetBurnSlow' },
  latency: { page: 'LatencyBudgetBurnFast', ticket: 'LatencyBudgetBurnSlow' },
};

/** Alerts that follow from a service's objective. */
export function budgetAlerts(service: Service): Alert[] {
  const indicators = indicatorsOf(service);
  if (indicators === undefined) return [];
  return [...PROMISES.flatMap((promised) => burnAlerts(service, promised, indicators)), nearLimit(service, indicators)];
}

function burnAlerts(service: Service, promised: Promised, indicators: Indicators): Alert[] {
  const indicator = indicators[promised];
  if (indicator === undefined) return [];
  const budget = budgetOf(service.objective, promised);
  return (['page', 'ticket'] as const).map((severity) => {
    const pairs = BURN_WINDOWS.filter((each) => each.severity === severity);
    const parts = pairs.map(({ factor, long, short }) => {
      const fast = (window: Window) => `${ratioOf(service, promised, window)} > ${factor} * ${budget}`;
      return `(${fast(long)} and ${fast(short)})`;
    });
    const percents = pairs.map(({ budgetPercent, long }) => `${budgetPercent}% of it within ${long}`).join(' or ');
    return {
      name: NAMES[promised][severity],
      severity,
      expr: parts.join(' or '),
      summary: `${service.name} breaks its ${promised} objective${severity === 'page' ? ' fast' : ' slowly'}`,
      description:
        `{{ $value | humanizePercentage }} of the ${indicator.says} in {{ $labels.namespace }}. ` +
        `The budget is ${exact(budget * 100)}% over 30 days; ${percents} is gone.`,
    };
  });
}

function nearLimit(service: Service, { throughput }: Indicators): Alert {
  const limit = service.objective.throughput;
  return {
    name: 'ThroughputNearLimit',
    severity: 'ticket',
    for: '15m',
    expr: `${throughput('5m')} > ${NEAR_LIMIT} * ${limit}`,
    summary: `${service.name} comes near to the load that its objective holds for`,
    description: `{{ $value | humanize }} a second in {{ $labels.namespace }}; the objective holds up to ${limit} a second.`,
  };
}
