import { awsName, deadLetterOf } from '../aws/names.ts';
import { metadata, namespaceOf, type ServiceContext, selector } from '../constructs/context.ts';
import type { Scope } from '../constructs/scope.ts';
import { dashboardsOf } from './dashboards/index.ts';
import { jobOf } from './indicators.ts';
import { type Place, queueGroups, type RuleGroup, ruleGroups, volumeGroups } from './rules.ts';

/** Seconds between two scrapes: ten samples in the shortest window of an alert. */
const SCRAPE_INTERVAL = '30s';

/**
 * Adds what the Prometheus operator and Grafana need to watch over a service: its ServiceMonitor, its PrometheusRule, its dashboards. All of it follows
 * from the model's objective (docs/concepts/objectives.md). Simulated companies get none: they are there to fail, and nobody is paged.
 */
export function monitoring(scope: Scope, ctx: ServiceContext): void {
  const { service, values } = ctx;
  if (service.component === 'simulator') return;
  const { global } = values;
  const place: Place = { namespace: namespaceOf(service.zone, global), runbooks: global.monitoring.runbooks };
  scope.when(global.monitoring.enabled, (watched) => {
    serviceMonitor(watched, ctx);
    prometheusRule(watched, ctx, service.name, ruleGroups(service, place));
    for (const [name, dashboard] of dashboardsOf(service)) dashboardMap(watched, ctx, name, dashboard);
    const queues = queueGroups(service, place, ({ name }) => awsName(global, deadLetterOf(name)));
    if (queues.length > 0)
      watched.when(global.aws.enabled, (inAws) => prometheusRule(inAws, ctx, `${service.name}-queues`, queues));
  });
}

/** The rules for the volume of a service that has one under some values only, as whom it is given here. */
export function volumeMonitoring(scope: Scope, ctx: ServiceContext): void {
  const { service, values } = ctx;
  const { enabled, runbooks } = values.global.monitoring;
  const groups = volumeGroups(service, { namespace: namespaceOf(service.zone, values.global), runbooks });
  scope.when(enabled, (watched) => prometheusRule(watched, ctx, `${service.name}-volume`, groups));
}

function serviceMonitor(scope: Scope, ctx: ServiceContext): void {
  scope.add({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'ServiceMonitor',
    metadata: metadata(ctx),
    spec: {
      selector: { matchLabels: selector(ctx.service) },
      endpoints: [
        {
          port: 'http',
          path: '/metrics',
          interval: SCRAPE_INTERVAL,
          scrapeTimeout: '10s',
          // The operator's metrics say whose order it is in `namespace`; without this it would become exported_namespace.
          honorLabels: true,
          // What alerts select by: a Service's bare name could be anybody's.
          // `action` is the API server's default; unsaid, Argo CD would see a difference for ever.
          relabelings: [{ action: 'replace', targetLabel: 'job', replacement: jobOf(ctx.service) }],
        },
      ],
    },
  });
}

function prometheusRule(scope: Scope, ctx: ServiceContext, name: string, groups: readonly RuleGroup[]): void {
  scope.add({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: metadata(ctx, name),
    spec: { groups },
  });
}

/** Grafana's sidecar loads every ConfigMap with the label. */
function dashboardMap(scope: Scope, ctx: ServiceContext, name: string, dashboard: object): void {
  const { labels, ...rest } = metadata(ctx, name);
  scope.add({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...rest, labels: { ...labels, grafana_dashboard: '1' } },
    data: { [`${name}.json`]: JSON.stringify(dashboard) },
  });
}
