import type { Service } from '../../model/types.ts';
import { ratioOf } from '../alerts/budget.ts';
import { budgetOf, exact, type Promised } from '../budget.ts';
import { type Indicators, indicatorsOf, of } from '../indicators.ts';
import type { Board, Panel } from './panel.ts';

/** A service's dashboard: what is left of its budgets, RED (rate, errors, duration), and how full it is. */
export function serviceBoard(service: Service): Board | undefined {
  const indicators = indicatorsOf(service);
  if (indicators === undefined) return undefined;
  const { availability, latency } = service.objective;
  return {
    uid: `mercato-${service.name}`,
    title: `Mercato / ${service.name}`,
    description: `${service.description} Objective: ${availability}% available, ${latency.percent}% within ${latency.milliseconds} ms.`,
    rows: [budgets(service, indicators), red(service, indicators), saturation(service), kit(service)].filter(
      (row) => row.length > 0,
    ),
  };
}

function budgets(service: Service, indicators: Indicators): Panel[] {
  const left = (promised: Promised): Panel[] =>
    indicators[promised] === undefined
      ? []
      : [
          {
            title: `${promised === 'availability' ? 'Error' : 'Latency'} budget left (30 days)`,
            description: '100%: nothing went wrong. 0%: all that the objective allows did. Below: it is broken.',
            type: 'stat',
            unit: 'percentunit',
            limit: { value: 0.1, below: true },
            queries: [
              {
                expr: `1 - ${ratioOf(service, promised, '30d')} / ${budgetOf(service.objective, promised)}`,
                legend: '{{namespace}}',
              },
            ],
          },
        ];
  return [
    ...left('availability'),
    ...left('latency'),
    {
      title: 'Throughput that is left',
      description: `Of ${service.objective.throughput} a second, for which the objective holds.`,
      type: 'stat',
      unit: 'percentunit',
      limit: { value: 0.2, below: true },
      queries: [
        { expr: `1 - ${indicators.throughput('5m')} / ${service.objective.throughput}`, legend: '{{namespace}}' },
      ],
    },
  ];
}

function red(service: Service, { histogram, throughput, availability }: Indicators): Panel[] {
  const quantile = (q: number) => ({
    expr: `histogram_quantile(${q}, sum by (namespace, le) (rate(${of(service, `${histogram}_bucket`)}[5m])))`,
    legend: `p${exact(q * 100)} {{namespace}}`,
  });
  return [
    {
      title: 'Rate',
      unit: 'reqps',
      limit: { value: service.objective.throughput },
      queries: [{ expr: throughput('5m'), legend: '{{namespace}}' }],
    },
    {
      title: 'Errors',
      description: `Share of all: ${availability.says}. The line is what the objective allows in the long run.`,
      unit: 'percentunit',
      limit: { value: budgetOf(service.objective, 'availability') },
      queries: [{ expr: ratioOf(service, 'availability', '5m'), legend: '{{namespace}}' }],
    },
    {
      title: 'Duration',
      unit: 's',
      limit: { value: service.objective.latency.milliseconds / 1000 },
      queries: [quantile(0.5), quantile(0.99)],
    },
  ];
}

function saturation(service: Service): Panel[] {
  return [
    {
      title: 'Processor',
      unit: 'percentunit',
      description: 'Of one core; a Node program has one for its own code.',
      limit: { value: 0.9 },
      queries: [{ expr: `rate(${of(service, 'process_cpu_seconds_total')}[5m])`, legend: '{{namespace}}/{{pod}}' }],
    },
    {
      title: 'Event loop lag (p99)',
      unit: 's',
      description: 'How long the program looks at nothing else.',
      limit: { value: 0.1 },
      queries: [{ expr: of(service, 'nodejs_eventloop_lag_p99_seconds'), legend: '{{namespace}}/{{pod}}' }],
    },
    {
      title: 'Memory',
      unit: 'bytes',
      description: `The limit is ${service.resources.memory} where values say nothing else.`,
      queries: [{ expr: of(service, 'process_resident_memory_bytes'), legend: '{{namespace}}/{{pod}}' }],
    },
  ];
}

function kit(service: Service): Panel[] {
  if (service.component !== 'service') return [];
  return [
    {
      title: 'Answers by command and status',
      unit: 'reqps',
      queries: [
        {
          expr: `sum by (command, status) (rate(${of(service, 'mercato_commands_total')}[5m]))`,
          legend: '{{command}} {{status}}',
        },
      ],
    },
    {
      title: 'Commands being carried out',
      unit: 'short',
      queries: [{ expr: of(service, 'mercato_http_in_flight'), legend: '{{namespace}}/{{pod}}' }],
    },
    {
      title: 'Commit (p99)',
      unit: 's',
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (namespace, le) (rate(${of(service, 'mercato_store_commit_seconds_bucket')}[5m])))`,
          legend: '{{namespace}}',
        },
      ],
    },
    {
      title: 'Events that wait',
      unit: 'short',
      queries: [{ expr: of(service, 'mercato_outbox_backlog'), legend: '{{namespace}} to {{subscriber}}' }],
    },
  ];
}
