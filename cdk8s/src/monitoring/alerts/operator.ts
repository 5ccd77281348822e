import type { Service } from '../../model/types.ts';
import type { Alert } from '../alert.ts';
import { jobOf, of } from '../indicators.ts';

/** What only the operator can tell: runs, stock, its journal and its view of the cluster. */
export function operatorAlerts(service: Service): Alert[] {
  const metric = (name: string, matchers?: string) => of(service, name, matchers);
  return [...runAlerts(metric), ...journalAlerts(metric), ...stockAlerts(metric)];
}

/** What can be told of workers apart from the operator, as whose metrics theirs count: that they are there. */
export function workerAlerts(service: Service): Alert[] {
  const up = `up{job="${jobOf(service)}",service="${service.name}"}`;
  return [
    {
      name: 'ServiceDown',
      severity: 'page',
      for: '3m',
      expr: `sum by (namespace) (${up}) == 0 or absent(${up})`,
      summary: `${service.name} answers nobody`,
      description: `Prometheus reaches no pod of ${service.name}: none runs, none is ready, or a policy is in the way. No order goes on.`,
    },
  ];
}

type Metric = (name: string, matchers?: string) => string;

function runAlerts(metric: Metric): Alert[] {
  return [
    {
      name: 'RunHeld',
      severity: 'ticket',
      expr: `max by (namespace, saga) (${metric('mercato_saga_oldest_hold_seconds')}) > 15 * 60`,
      summary: 'An order waits for a decision',
      description:
        'The oldest hold of {{ $labels.saga }} in {{ $labels.namespace }} is {{ $value | humanizeDuration }} old. Nothing happens to a held order until a person decides.',
    },
    {
      name: 'RunHeldLong',
      severity: 'page',
      expr: `max by (namespace, saga) (${metric('mercato_saga_oldest_hold_seconds')}) > 4 * 3600`,
      summary: 'An order has waited for a decision for hours',
      description:
        'The oldest hold of {{ $labels.saga }} in {{ $labels.namespace }} is {{ $value | humanizeDuration }} old. Goods and money that were set aside for it expire, and then fewer decisions are left.',
    },
    {
      name: 'RunOverdue',
      severity: 'ticket',
      for: '15m',
      expr: `max by (namespace, saga) (${metric('mercato_saga_runs_overdue')}) > 0`,
      summary: 'Orders past their pivot are overdue',
      description:
        '{{ $value }} orders of {{ $labels.saga }} in {{ $labels.namespace }} are past their deadline and past the pivot: they can only go forward, and do not.',
    },
    {
      name: 'RunDeletionStuck',
      severity: 'ticket',
      expr: `max by (namespace, saga) (${metric('mercato_saga_oldest_deletion_seconds')}) > 3600`,
      summary: 'A deleted run does not go',
      description:
        'An OrderSagaRun of {{ $labels.saga }} in {{ $labels.namespace }} was deleted {{ $value | humanizeDuration }} ago and its finalizer is still there: it cannot be compensated or finished. Its namespace cannot go either.',
    },
    {
      name: 'ParticipantCircuitOpen',
      severity: 'page',
      for: '2m',
      expr: `min by (namespace, participant) (${metric('mercato_participant_circuit_state', 'state="Closed"')}) == 0`,
      summary: 'A participant is left alone because it fails, and orders wait for it',
      description:
        'The circuit of {{ $labels.participant }} in {{ $labels.namespace }} is not closed. Its orders wait and lose no attempt by it, but their deadline goes on.',
    },
    {
      name: 'JournalWritesFail',
      severity: 'page',
      for: '5m',
      expr: `sum by (namespace) (rate(${metric('mercato_journal_failures_total')}[5m])) > 0.1`,
      summary: 'What happens to orders cannot be written down',
      description:
        '{{ $value | humanize }} journal writes a second fail and are tried again. No run acts before its state is durable: orders stand still.',
    },
    {
      name: 'ShardsUnheld',
      severity: 'page',
      for: '2m',
      expr: `max by (namespace) (${metric('mercato_run_shards_unheld')}) > 0`,
      summary: 'Orders stand still: no replica drives their shard',
      description:
        '{{ $value }} shards of runs are with no replica that lives, or with one that cannot open or hand them over. Their orders stand still.',
    },
    {
      name: 'ExceptionRecorded',
      severity: 'ticket',
      expr: `sum by (namespace, saga, decision) (increase(${metric('mercato_saga_exceptions_total')}[1h])) > 0`,
      summary: 'Something was given up, and somebody must put it right outside',
      description:
        '{{ $value | humanize }} exception records ({{ $labels.decision }}) of the saga {{ $labels.saga }} in {{ $labels.namespace }} within the hour: effects that may be in place and that no run looks after any more.',
    },
    {
      name: 'RunTaken',
      severity: 'ticket',
      expr: `sum by (namespace) (increase(${metric('mercato_saga_runs_dropped_total', 'why="Taken"')}[1h])) > 0`,
      summary: 'Two writers wanted the same run',
      description:
        '{{ $value | humanize }} runs were given up within the hour because another writer has them. No harm is done: writes are conditional. But in a quiet life there is one writer.',
    },
  ];
}

/** Orders that come in, ends that go out, and runs of a journal outside Kubernetes. Without one, these have no series. */
function journalAlerts(metric: Metric): Alert[] {
  return [
    {
      name: 'AnnouncementsLate',
      severity: 'page',
      for: '5m',
      expr: `max by (namespace, subscriber) (${metric('mercato_announcements_oldest_seconds')}) > 900`,
      summary: 'Nobody is told what becomes of orders',
      description:
        '{{ $labels.subscriber }} has not been told what happened to an order {{ $value | humanizeDuration }} ago. None of it is lost: it is told again until it is taken.',
    },
    {
      name: 'IntakeRefused',
      severity: 'ticket',
      expr: `sum by (namespace, reason) (increase(${metric('mercato_intake_refused_total')}[1h])) > 0`,
      summary: 'Orders came in that can never be taken',
      description:
        '{{ $value | humanize }} events were refused within the hour ({{ $labels.reason }}), and are on record. Whoever placed these orders waits for nothing.',
    },
    {
      name: 'RunsWaiting',
      severity: 'ticket',
      for: '10m',
      expr: `max by (namespace, for) (${metric('mercato_worker_runs_waiting', 'for!="MaxActive"')}) > 0`,
      summary: 'Orders were taken and are not begun, or not gone on with',
      description:
        '{{ $value }} runs of a worker wait ({{ $labels.for }}) for something that nobody but a person puts right.',
    },
    {
      name: 'WorkerRoundsFail',
      severity: 'page',
      for: '5m',
      expr: `sum by (namespace, what) (rate(${metric('mercato_worker_failures_total')}[5m])) > 0.1`,
      summary: 'Workers cannot read or write their journal',
      description:
        '{{ $value | humanize }} rounds a second of the workers ({{ $labels.what }}) fail and are tried again. Without a sign of life in the journal a worker ends itself, and others take its runs.',
    },
    {
      name: 'ViewsStale',
      severity: 'page',
      for: '5m',
      // The leader keeps them; who does not says 0, or when it last did.
      expr: `time() - max by (namespace) (${metric('mercato_views_kept_timestamp_seconds')}) > 60`,
      summary: 'People do not see which orders wait for them',
      description:
        'OrderSagaRuns of mode View were last what the journal says {{ $value | humanizeDuration }} ago. Held orders do not show, and decisions are not carried out.',
    },
    {
      name: 'ViewsInExcess',
      severity: 'ticket',
      for: '15m',
      expr: `max by (namespace) (${metric('mercato_views_excess')}) > 0`,
      summary: 'More orders need a person than are shown',
      description: '{{ $value }} runs that are held or overdue have no OrderSagaRun: there are too many at once.',
    },
  ];
}

function stockAlerts(metric: Metric): Alert[] {
  const by = 'namespace, warehouse';
  return [
    {
      name: 'StockLow',
      severity: 'ticket',
      for: '30m',
      expr: `max by (${by}) (${metric('mercato_stock_low_skus')}) > 0`,
      summary: 'SKUs are at or below their reorder point',
      description: '{{ $value }} SKUs of {{ $labels.warehouse }} in {{ $labels.namespace }} are low.',
    },
    {
      name: 'StockOut',
      severity: 'ticket',
      for: '15m',
      expr: `max by (${by}) (${metric('mercato_stock_out_skus')}) > 0`,
      summary: 'SKUs cannot be sold',
      description: 'Of {{ $value }} SKUs nothing is available in {{ $labels.warehouse }} ({{ $labels.namespace }}).',
    },
    {
      name: 'StockNegative',
      severity: 'page',
      expr: `min by (${by}, counter) (${metric('mercato_stock_units')}) < 0`,
      summary: 'A stock counter is negative',
      description:
        '{{ $labels.counter }} of {{ $labels.warehouse }} in {{ $labels.namespace }} is {{ $value }}. No counter may ever be negative: inventory may have sold what is not there.',
    },
    {
      name: 'WarehouseNotReady',
      severity: 'ticket',
      for: '15m',
      expr: `min by (${by}) (${metric('mercato_warehouse_ready')}) == 0`,
      summary: 'The stock of a warehouse is not known',
      description: 'Inventory does not answer for {{ $labels.warehouse }} in {{ $labels.namespace }}.',
    },
  ];
}

/** Also of the boundary's controller, which stands on the same framework. */
export function controllerAlerts(service: Service): Alert[] {
  const metric = (name: string, matchers?: string) => of(service, name, matchers);
  return [
    {
      name: 'NoLeader',
      severity: 'page',
      for: '2m',
      expr: `max by (namespace, name) (${metric('leader_election_master_status')}) == 0`,
      summary: 'No replica leads, so nothing but runs is reconciled',
      description: `No pod of ${service.name} in {{ $labels.namespace }} holds the Lease {{ $labels.name }}.`,
    },
    {
      name: 'ReconcileStale',
      severity: 'page',
      for: '5m',
      expr: `max by (namespace, resource) (${metric('mercato_cache_staleness_seconds')}) > 300`,
      summary: 'A controller does not see what happens',
      description: `${service.name} has heard nothing of {{ $labels.resource }} for {{ $value | humanizeDuration }}; bookmarks come each minute. What is applied is not acted on.`,
    },
    {
      name: 'ReconcilesFail',
      severity: 'ticket',
      for: '15m',
      expr: `sum by (namespace, controller) (rate(${metric('controller_runtime_reconcile_errors_total')}[5m])) / sum by (namespace, controller) (rate(${metric('controller_runtime_reconcile_total')}[5m])) > 0.1`,
      summary: 'Reconciles fail again and again',
      description: '{{ $value | humanizePercentage }} of the reconciles of {{ $labels.controller }} end in an error.',
    },
    {
      name: 'ReconcilePanicked',
      severity: 'ticket',
      expr: `sum by (namespace, controller) (increase(${metric('controller_runtime_reconcile_panics_total')}[1h])) > 0`,
      summary: 'A defect of the program stopped reconciles',
      description: '{{ $value | humanize }} reconciles of {{ $labels.controller }} threw what no controller may throw.',
    },
  ];
}
