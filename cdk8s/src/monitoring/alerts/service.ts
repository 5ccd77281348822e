import { commandsOf } from '../../aws/names.ts';
import { text } from '../../holes/index.ts';
import type { Queue, Service } from '../../model/types.ts';
import type { Alert } from '../alert.ts';
import { jobOf, of } from '../indicators.ts';

/** What can be said of every program that is scraped. */
export function programAlerts(service: Service): Alert[] {
  const up = `up{job="${jobOf(service)}"}`;
  return [
    {
      name: 'ServiceDown',
      severity: 'page',
      for: '3m',
      expr: `sum by (namespace) (${up}) == 0 or absent(${up})`,
      summary: `${service.name} answers nobody`,
      description: `Prometheus reaches no pod of ${service.name}: none runs, none is ready, or a policy is in the way.`,
    },
  ];
}

/** What can be said of a service of the shop (services/kit). */
export function kitAlerts(service: Service): Alert[] {
  if (service.component !== 'service') return [];
  const { publishes = [], consumes = [] } = service.events ?? {};
  return [
    ...(publishes.length > 0 ? [notDelivered(service)] : []),
    ...(consumes.length > 0 ? [ignored(service)] : []),
    ...(service.api === true ? [turnedAway(service)] : []),
  ];
}

function turnedAway(service: Service): Alert {
  return {
    name: 'OrdersTurnedAway',
    severity: 'ticket',
    for: '10m',
    expr: `sum by (namespace) (rate(${of(service, 'mercato_http_overloaded_total')}[5m])) > 1`,
    summary: `${service.name} turns requests away`,
    description:
      '{{ $value | humanize }} requests a second are answered with 429 in {{ $labels.namespace }}: the store is too slow for what comes.',
  };
}

function notDelivered(service: Service): Alert {
  return {
    name: 'EventsNotDelivered',
    severity: 'ticket',
    for: '15m',
    expr: `max by (namespace, subscriber) (${of(service, 'mercato_outbox_backlog')}) > 1000`,
    summary: `Events of ${service.name} are not taken`,
    description: `{{ $value }} events of ${service.name} in {{ $labels.namespace }} wait for {{ $labels.subscriber }}. None is lost: they are sent again until they are taken.`,
  };
}

function ignored(service: Service): Alert {
  return {
    name: 'EventsIgnored',
    severity: 'ticket',
    expr: `sum by (namespace) (increase(${of(service, 'mercato_inbox_events_total', 'outcome="ignored"')}[1h])) > 0`,
    summary: `${service.name} was told of something that it cannot have`,
    description:
      '{{ $value | humanize }} events of the last hour could change nothing in {{ $labels.namespace }}: goods shipped that nobody committed, or an order that is not known. Stock may be wrong.',
  };
}

/** What a service itself says of the queue that its events come by. */
export function readerAlerts(service: Service): Alert[] {
  if (service.component !== 'service' || (service.events?.consumes ?? []).length === 0) return [];
  return [unreadable(service)];
}

function unreadable(service: Service): Alert {
  return {
    name: 'EventsUnreadable',
    severity: 'ticket',
    expr: `sum by (namespace) (increase(${of(service, 'mercato_queue_events_total', 'outcome="poison"')}[1h])) > 0`,
    summary: `${service.name} gets messages that nobody can ever read`,
    description:
      '{{ $value | humanize }} messages of the last hour went to the dead-letter queue with their reason, unread. If they were events, what they told did not happen in {{ $labels.namespace }}.',
  };
}

/**
 * The volume of a service with an embedded store; as kube-prometheus' KubePersistentVolumeFillingUp, for this volume, with a runbook of ours.
 * @param namespace may be a hole
 */
export function volumeAlerts(service: Service, namespace: string): Alert[] {
  if (service.state.kind !== 'embedded' || service.component === 'simulator') return [];
  const claim = (metric: string) =>
    text(`${metric}{persistentvolumeclaim=~"data-${service.name}-[0-9]+",namespace="`, namespace, '"}');
  const available = claim('kubelet_volume_stats_available_bytes');
  const free = text(available, ' / ', claim('kubelet_volume_stats_capacity_bytes'));
  return [
    {
      name: 'VolumeAlmostFull',
      severity: 'page',
      for: '5m',
      expr: text(free, ' < 0.05'),
      summary: `The volume of ${service.name} is almost full`,
      description:
        '{{ $value | humanizePercentage }} of {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} is free. When it is full, every command fails.',
    },
    {
      name: 'VolumeFillingUp',
      severity: 'ticket',
      for: '1h',
      expr: text('(', free, ') < 0.25 and predict_linear(', available, '[6h], 4 * 24 * 3600) < 0'),
      summary: `The volume of ${service.name} is full within four days`,
      description:
        '{{ $value | humanizePercentage }} of {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} is free, and at the rate of the last six hours nothing is in four days.',
    },
  ];
}

/**
 * Dead-letter queues with something in them. The metric is that of yet-another-cloudwatch-exporter (docs/concepts/objectives.md).
 * @param nameOf the dead-letter queue's name in AWS; may be a hole
 */
export function queueAlerts(service: Service, nameOf: (queue: Pick<Queue, 'name'>) => string): Alert[] {
  const own = (service.queues ?? []).map(({ name }) => name);
  const names = [...own, ...(service.commands === undefined ? [] : [commandsOf(service)])];
  if (names.length === 0) return [];
  // Their names have no character that means something in an expression.
  const either = names.flatMap((name, i) => (i === 0 ? [nameOf({ name })] : ['|', nameOf({ name })]));
  return [
    {
      name: 'DeadLetters',
      severity: 'ticket',
      for: '5m',
      expr: text(
        'max by (dimension_QueueName) (aws_sqs_approximate_number_of_messages_visible_maximum{dimension_QueueName=~"',
        ...either,
        '"}) > 0',
      ),
      summary: `Messages of ${names.join(' or ')} were given up`,
      description: `{{ $value }} messages lie in {{ $labels.dimension_QueueName }}: ${service.name} could not deal with them, however often it received them.`,
    },
  ];
}
