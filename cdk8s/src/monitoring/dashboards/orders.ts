import type { Service } from '../../model/types.ts';
import { of } from '../indicators.ts';
import type { Board } from './panel.ts';

/** The shop's orders: how many, how they end, what holds them up, and the stock that they need. From the operator's metrics. */
export function ordersBoard(operator: Service): Board {
  const metric = (name: string, matchers?: string) => of(operator, name, matchers);
  const rate = (by: string, name: string, matchers?: string) => `sum by (${by}) (rate(${metric(name, matchers)}[5m]))`;
  return {
    uid: 'mercato-orders',
    title: 'Mercato / orders',
    description: 'Orders on their way through their sagas, and the stock that they need.',
    rows: [
      [
        {
          title: 'Orders that wait for a person',
          type: 'stat',
          unit: 'short',
          limit: { value: 1 },
          queries: [{ expr: `max by (namespace) (${metric('mercato_saga_runs_held')})`, legend: '{{namespace}}' }],
        },
        {
          title: 'The oldest of them',
          type: 'stat',
          unit: 's',
          limit: { value: 900 },
          queries: [
            {
              expr: `max by (namespace, saga) (${metric('mercato_saga_oldest_hold_seconds')})`,
              legend: '{{namespace}}/{{saga}}',
            },
          ],
        },
        {
          title: 'Overdue past the pivot',
          type: 'stat',
          unit: 'short',
          limit: { value: 1 },
          queries: [
            {
              expr: `max by (namespace, saga) (${metric('mercato_saga_runs_overdue')})`,
              legend: '{{namespace}}/{{saga}}',
            },
          ],
        },
        {
          title: 'On their way',
          type: 'stat',
          unit: 'short',
          queries: [{ expr: `sum by (job) (${metric('mercato_saga_runs_active')})`, legend: 'runs' }],
        },
      ],
      [
        {
          title: 'Orders, by how they end',
          unit: 'ops',
          queries: [
            {
              expr: rate('namespace, saga, outcome', 'mercato_saga_runs_finished_total'),
              legend: '{{namespace}}/{{saga}} {{outcome}}',
            },
          ],
        },
        {
          title: 'Why they turn back',
          unit: 'ops',
          queries: [{ expr: rate('step, reason', 'mercato_saga_compensations_total'), legend: '{{step}} {{reason}}' }],
        },
        {
          title: 'Why they are held',
          unit: 'ops',
          queries: [{ expr: rate('step, reason', 'mercato_saga_holds_total'), legend: '{{step}} {{reason}}' }],
        },
      ],
      [
        {
          title: 'Answers of participants',
          description: 'Unknown: no answer that counts; it is asked again.',
          unit: 'ops',
          queries: [
            {
              expr: rate('participant, answer', 'mercato_participant_request_duration_seconds_count'),
              legend: '{{participant}} {{answer}}',
            },
          ],
        },
        {
          title: 'Duration of commands (p99)',
          unit: 's',
          queries: [
            {
              expr: `histogram_quantile(0.99, ${rate('participant, command, le', 'mercato_participant_request_duration_seconds_bucket')})`,
              legend: '{{participant}} {{command}}',
            },
          ],
        },
        {
          title: 'Participants left alone',
          description: 'Processes of the operator whose circuit is not closed: orders wait, and lose no attempt by it.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (namespace, participant) (${metric('mercato_participant_circuit_state', 'state!="Closed"')})`,
              legend: '{{namespace}}/{{participant}}',
            },
          ],
        },
        {
          title: 'Journal writes tried again',
          unit: 'ops',
          queries: [{ expr: rate('job', 'mercato_journal_failures_total'), legend: 'writes' }],
        },
      ],
      [
        {
          title: 'Events that come in, by what became of them',
          description: 'Busy comes again. Refused never does: it is on record, and somebody waits for nothing.',
          unit: 'ops',
          queries: [{ expr: rate('outcome', 'mercato_intake_events_total'), legend: '{{outcome}}' }],
        },
        {
          title: 'What subscribers have not been told',
          unit: 's',
          limit: { value: 900 },
          queries: [
            {
              expr: `max by (subscriber) (${metric('mercato_announcements_oldest_seconds')})`,
              legend: '{{subscriber}}',
            },
          ],
        },
        {
          title: 'Runs in the memory of workers',
          description:
            'With the journals sqlite and dynamodb. MaxActive waits for a place; all else waits for a person.',
          unit: 'short',
          queries: [
            { expr: `sum by (job) (${metric('mercato_worker_runs_in_work')})`, legend: 'in work' },
            { expr: `sum by (for) (${metric('mercato_worker_runs_waiting')})`, legend: 'waiting: {{for}}' },
          ],
        },
        {
          title: 'Workers that live, and runs taken over',
          unit: 'short',
          queries: [
            { expr: `max by (job) (${metric('mercato_worker_workers')})`, legend: 'workers' },
            {
              expr: `sum by (job) (increase(${metric('mercato_worker_runs_claimed_total', 'died="true"')}[5m]))`,
              legend: 'runs of dead ones',
            },
          ],
        },
      ],
      [
        {
          title: 'Stock that is available',
          unit: 'short',
          queries: [
            {
              expr: `max by (namespace, warehouse) (${metric('mercato_stock_units', 'counter="available"')})`,
              legend: '{{namespace}}/{{warehouse}}',
            },
          ],
        },
        {
          title: 'SKUs that are low, and out',
          unit: 'short',
          queries: [
            {
              expr: `max by (namespace, warehouse) (${metric('mercato_stock_low_skus')})`,
              legend: 'low {{namespace}}/{{warehouse}}',
            },
            {
              expr: `max by (namespace, warehouse) (${metric('mercato_stock_out_skus')})`,
              legend: 'out {{namespace}}/{{warehouse}}',
            },
          ],
        },
        {
          title: 'Restock orders by phase',
          unit: 'short',
          queries: [
            {
              expr: `sum by (phase) (max by (namespace, warehouse, phase) (${metric('mercato_restock_orders')}))`,
              legend: '{{phase}}',
            },
          ],
        },
      ],
    ],
  };
}
