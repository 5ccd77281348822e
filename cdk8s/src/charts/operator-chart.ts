import { intakeClosed, policies } from '@mercato/operator/api/policies.ts';
import { roles } from '@mercato/operator/api/roles.ts';
import { NODE_OPTIONS } from '@mercato/operator/node-options.ts';
import { CALLER, DRAIN, deciding, draining, drainingOwn, OPERATOR, own, watching } from '@mercato/operator/rights.ts';
import { DEFAULT_SHARDS, MOST_SHARDS } from '@mercato/operator/sharding/shard.ts';
import { addressOf, type Program, type ServiceContext, subjectOf } from '../constructs/context.ts';
import { beforeDelete, WEIGHTS } from '../constructs/hooks.ts';
import type { k8s } from '../constructs/kube.ts';
import { rbac } from '../constructs/rights.ts';
import type { Manifest, Scope } from '../constructs/scope.ts';
import { choose, isEmpty, joined, text } from '../holes/index.ts';
import { callersOf, portOf, serviceOf, subscribersOf } from '../model/derive.ts';
import type { Model, Service } from '../model/types.ts';
import { type ChartDefinition, defineChart } from './chart.ts';
import { boolean, extended, group, integer, namespaceList, string } from './schema.ts';
import { serviceObjects } from './service-chart.ts';
import { type ServiceValues, serviceSchema } from './service-values.ts';

/** The door of the operator that orders come in by. */
const INTAKE = 'intake';
const DURATION = { pattern: '^[1-9][0-9]*(s|m|h)$', maxLength: 8 };

const operatorSchema = (service: Service) =>
  extended(serviceSchema(service), {
    watchNamespaces: namespaceList(
      'Namespaces that it looks after, each with a Role of its own; empty: all, by a ClusterRole',
    ),
    clusterWide: group('What is the whole cluster’s, so that one release in it installs it', {
      roles: boolean('Roles of people: view, edit, platform, operate, approve', true),
      policies: boolean('Admission policies that check whoever signs decisions and approvals', true),
    }),
    leaseDuration: string('How long a replica that died is waited for; at least 3s', '15s', DURATION),
    shards: integer(
      'Parts that runs are divided into among replicas; at least as many as replicas, and changed only while none runs (docs/concepts/scaling.md)',
      DEFAULT_SHARDS,
      1,
      MOST_SHARDS,
    ),
    connections: integer('Connections to the API server', 32, 1, 1000),
    orders: boolean(
      'Whether the order service hands it orders, and is told of their ends; false where only OrderSagaRuns are applied',
      true,
    ),
    drain: group('Before an uninstall: runs are brought to an end, or the uninstall fails', {
      enabled: boolean('Whether it waits for runs; if not, their objects keep finalizers that nobody takes away', true),
      timeout: string(
        'How long runs in flight are waited for; less than the --timeout of helm uninstall, which is 5m',
        '3m',
        DURATION,
      ),
      force: boolean('Whether runs that are held for a person are aborted, with exception records', false),
    }),
  });

type OperatorValues = ReturnType<typeof valuesOf>;
const valuesOf = (values: object) =>
  values as ServiceValues & {
    readonly watchNamespaces: readonly string[];
    readonly clusterWide: { readonly roles: boolean; readonly policies: boolean };
    readonly leaseDuration: string;
    readonly shards: number;
    readonly connections: number;
    readonly orders: boolean;
    readonly drain: { readonly enabled: boolean; readonly timeout: string; readonly force: boolean };
  };

/** The chart of the operator: its program, the rights that this has, the account without any that it calls as, and what people may do. */
export function operatorChart(model: Model): ChartDefinition {
  const service = serviceOf(model, OPERATOR);
  return defineChart({
    name: service.name,
    description: service.description,
    values: operatorSchema(service),
    render(scope, given) {
      const values = valuesOf(given);
      serviceObjects(scope, { model, service, values, program: programOf(model, service, values) });
      caller(scope, { service, values });
      rights(scope, values);
      forEverybody(scope, values);
    },
    hooks(scope, given) {
      const values = valuesOf(given);
      scope.when(values.drain.enabled, (inner) => drain(inner, { model, service, values }, values));
    },
  });
}

/** Runs are brought to an end while the operator and the services are still there. */
function drain(scope: Scope, ctx: ServiceContext, values: OperatorValues): void {
  const { global, watchNamespaces } = values;
  const { timeout, force } = values.drain;
  const account = { namespace: global.namespaces.system, name: DRAIN };
  const job: Service = { ...ctx.service, name: DRAIN, program: 'operator/src/drain.ts', calls: [] };
  const args = [
    text('--watch-namespaces=', joined(watchNamespaces, ',')),
    text('--timeout=', timeout),
    text('--force=', choose(force, 'true', 'false')),
  ];
  beforeDelete(scope, { ...ctx, service: job, program: { args } }, WEIGHTS.drain, (inner) => {
    rbac(inner, drainingOwn(account));
    inner.when(isEmpty(watchNamespaces), (everywhere) => rbac(everywhere, draining(account)));
    inner.each(watchNamespaces, (one, namespace) => rbac(one, draining(account, namespace)));
    inner.when(force, (forced) => {
      forced.when(isEmpty(watchNamespaces), (everywhere) => rbac(everywhere, deciding(account)));
      forced.each(watchNamespaces, (one, namespace) => rbac(one, deciding(account, namespace)));
    });
    // Where it may say so for the whole cluster: an order that came now would find nobody.
    inner.when(isEmpty(watchNamespaces), (everywhere) => {
      for (const policy of intakeClosed()) everywhere.add(policy as Manifest);
    });
  });
}

/** What the operator is told, as flags, so that a change of values rolls its pods. */
function programOf(model: Model, service: Service, values: OperatorValues): Program {
  const { watchNamespaces, leaseDuration, shards, connections } = values;
  return {
    args: [
      text('--watch-namespaces=', joined(watchNamespaces, ',')),
      `--service-account=${CALLER}`,
      text('--lease-duration=', leaseDuration),
      text('--shards=', shards),
      text('--connections=', connections),
    ],
    env: [{ name: 'NODE_OPTIONS', value: NODE_OPTIONS }, ...orders(model, service, values)],
  };
}

/** Where orders come in, from whom, and who is told what became of them. Variables, since one that is empty counts as not said. */
function orders(model: Model, service: Service, { global, orders: wanted }: OperatorValues): k8s.EnvVar[] {
  const senders = callersOf(model, service).filter(({ calls }) =>
    calls.some(({ to, door }) => to === service.name && door === INTAKE),
  );
  if (senders.length === 0) return [];
  const list = (parts: readonly string[]) => text(...parts.flatMap((part, i) => (i === 0 ? [part] : [',', part])));
  const whereWanted = (name: string, value: string) => ({ name, value: choose(wanted, value, '') });
  return [
    whereWanted('MERCATO_INTAKE_ADDRESS', `0.0.0.0:${portOf(service, INTAKE)}`),
    whereWanted('MERCATO_INTAKE_SUBJECTS', list(senders.map(({ name, zone }) => subjectOf(name, zone, global)))),
    whereWanted(
      'MERCATO_ANNOUNCE_TO',
      list(subscribersOf(model, service).map((each) => text(addressOf(each, global), '/events'))),
    ),
  ];
}

/** The account as which participants are called. No pod runs as it, and nothing is bound to it. */
function caller(scope: Scope, { values }: Pick<ServiceContext, 'service' | 'values'>): void {
  scope.add({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: {
      name: CALLER,
      namespace: values.global.namespaces.system,
      labels: { 'app.kubernetes.io/name': CALLER, 'app.kubernetes.io/part-of': 'mercato' },
    },
    automountServiceAccountToken: false,
  });
}

function rights(scope: Scope, { global, watchNamespaces }: OperatorValues): void {
  const account = { namespace: global.namespaces.system, name: OPERATOR };
  rbac(scope, own(account));
  scope.when(isEmpty(watchNamespaces), (everywhere) => rbac(everywhere, watching(account)));
  scope.each(watchNamespaces, (inner, namespace) => rbac(inner, watching(account, namespace)));
}

function forEverybody(scope: Scope, { clusterWide }: OperatorValues): void {
  scope.when(clusterWide.roles, (inner) => rbac(inner, roles()));
  scope.when(clusterWide.policies, (inner) => {
    for (const policy of policies()) inner.add(policy as Manifest);
  });
}
