import { text } from '../holes/index.ts';
import type { Severity } from './budget.ts';

/** An alert, before Prometheus' words for it. */
export interface Alert {
  /** CamelCase; the runbook's name follows from it. One alert may stand in the rules of several services. */
  readonly name: string;
  readonly severity: Severity;
  /** PromQL. */
  readonly expr: string;
  /** How long it must hold. @default at once */
  readonly for?: string;
  /** One line: what is wrong, for whom. */
  readonly summary: string;
  /** What it means and the figures; may use `{{ $value }}` and `{{ $labels.x }}`. */
  readonly description: string;
}

/** The file in docs/runbooks for an alert: `BoundaryNotEnforced` is `boundary-not-enforced.md`. */
export const runbookOf = (name: string): string => `${name.replace(/(?<!^)([A-Z])/g, '-$1').toLowerCase()}.md`;

/** An entry of a PrometheusRule's group. */
export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * An alert as a rule.
 * @param runbooks where runbooks are, without a trailing slash; may be a hole
 */
export function alertRule(service: string, runbooks: string, alert: Alert): Rule {
  const { name, severity, expr, summary, description } = alert;
  return {
    alert: name,
    expr,
    ...(alert.for === undefined ? {} : { for: alert.for }),
    labels: { severity, service },
    annotations: { summary, description, runbook_url: text(runbooks, '/', runbookOf(name)) },
  };
}
