import type { Model, Queue, Service } from '../model/types.ts';
import { type Alert, alertRule, type Rule } from './alert.ts';
import { boundaryAlerts } from './alerts/boundary.ts';
import { budgetAlerts, recordingRules } from './alerts/budget.ts';
import { controllerAlerts, operatorAlerts, workerAlerts } from './alerts/operator.ts';
import { kitAlerts, programAlerts, queueAlerts, readerAlerts, volumeAlerts } from './alerts/service.ts';

/** A group of a PrometheusRule: evaluated in order, every 30 seconds. */
export interface RuleGroup {
  readonly name: string;
  readonly interval: string;
  readonly rules: readonly Rule[];
}

/** What an installation says. Every field may be a hole. */
export interface Place {
  /** The service's namespace. */
  readonly namespace: string;
  /** Where runbooks are. */
  readonly runbooks: string;
}

/** The alerts of a service, but for those of its queues. */
export function alertsOf(service: Service, namespace: string): Alert[] {
  // All else is asked of both halves at once.
  if (service.partOf !== undefined) return workerAlerts(service);
  return [
    ...programAlerts(service),
    ...budgetAlerts(service),
    ...kitAlerts(service),
    ...volumeAlerts(service, namespace),
    ...(service.component === 'controller' ? controllerAlerts(service) : []),
    ...(service.name === 'mercato-operator' ? operatorAlerts(service) : []),
    ...(service.name === 'mercato-boundary' ? boundaryAlerts(service) : []),
  ];
}

/** What Prometheus records of a service, and what it alerts on. */
export function ruleGroups(service: Service, { namespace, runbooks }: Place): RuleGroup[] {
  const alerts = alertsOf(service, namespace).map((alert) => alertRule(service.name, runbooks, alert));
  return [
    { name: `mercato-${service.name}-objectives`, interval: '30s', rules: recordingRules(service) },
    { name: `mercato-${service.name}-alerts`, interval: '30s', rules: alerts },
  ].filter(({ rules }) => rules.length > 0);
}

/**
 * The alerts of a service's queues, which are AWS's, and of what it reads from them.
 * @param deadLetterQueue the dead-letter queue's name in AWS; may be a hole
 */
export function queueGroups(
  service: Service,
  place: Place,
  deadLetterQueue: (queue: Pick<Queue, 'name'>) => string,
): RuleGroup[] {
  const all = [...readerAlerts(service), ...queueAlerts(service, deadLetterQueue)];
  const alerts = all.map((each) => alertRule(service.name, place.runbooks, each));
  return alerts.length === 0 ? [] : [{ name: `mercato-${service.name}-queues`, interval: '30s', rules: alerts }];
}

/** The alerts of a volume alone. */
export function volumeGroups(service: Service, { namespace, runbooks }: Place): RuleGroup[] {
  const rules = volumeAlerts(service, namespace).map((alert) => alertRule(service.name, runbooks, alert));
  return [{ name: `mercato-${service.name}-volume`, interval: '30s', rules }];
}

/** The names of all alerts of a model: each has a runbook. */
export function alertNames({ services }: Model): string[] {
  const names = services
    .filter(({ component }) => component !== 'simulator')
    .flatMap((service) => [
      ...alertsOf(service, ''),
      ...readerAlerts(service),
      ...queueAlerts(service, ({ name }) => name),
    ])
    .map(({ name }) => name);
  return [...new Set(names)].sort();
}
