import { policies } from '@mercato/operator/api/policies.ts';
import { roles } from '@mercato/operator/api/roles.ts';
import { NODE_OPTIONS } from '@mercato/operator/node-options.ts';
import { CALLER, OPERATOR, own, watching } from '@mercato/operator/rights.ts';
import type { Program, ServiceContext } from '../constructs/context.ts';
import { rbac } from '../constructs/rights.ts';
import type { Manifest, Scope } from '../constructs/scope.ts';
import { isEmpty, joined, not, text } from '../holes/index.ts';
import { serviceOf } from '../model/derive.ts';
import type { Model, Service } from '../model/types.ts';
import { type ChartDefinition, defineChart } from './chart.ts';
import { boolean, extended, group, integer, namespaceList, string } from './schema.ts';
import { serviceObjects } from './service-chart.ts';
import { type ServiceValues, serviceSchema } from './service-values.ts';

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
    leaseDuration: string('How long a leader that died is waited for; at least 3s', '15s', DURATION),
    connections: integer('Connections to the API server', 32, 1, 1000),
  });

type OperatorValues = ReturnType<typeof valuesOf>;
const valuesOf = (values: object) =>
  values as ServiceValues & {
    readonly watchNamespaces: readonly string[];
    readonly clusterWide: { readonly roles: boolean; readonly policies: boolean };
    readonly leaseDuration: string;
    readonly connections: number;
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
      serviceObjects(scope, { model, service, values, program: programOf(values) });
      caller(scope, { service, values });
      rights(scope, values);
      forEverybody(scope, values);
    },
  });
}

/** What the operator is told, as flags, so that a change of values rolls its pods. */
function programOf({ watchNamespaces, leaseDuration, connections }: OperatorValues): Program {
  return {
    args: [
      text('--watch-namespaces=', joined(watchNamespaces, ',')),
      `--service-account=${CALLER}`,
      text('--lease-duration=', leaseDuration),
      text('--connections=', connections),
    ],
    env: [{ name: 'NODE_OPTIONS', value: NODE_OPTIONS }],
  };
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
  scope.when(not(isEmpty(watchNamespaces)), (confined) =>
    confined.each(watchNamespaces, (inner, namespace) => rbac(inner, watching(account, namespace))),
  );
}

function forEverybody(scope: Scope, { clusterWide }: OperatorValues): void {
  scope.when(clusterWide.roles, (inner) => rbac(inner, roles()));
  scope.when(clusterWide.policies, (inner) => {
    for (const policy of policies()) inner.add(policy as Manifest);
  });
}
