import { intakeClosed, policies } from '@mercato/operator/api/policies.ts';
import { roles } from '@mercato/operator/api/roles.ts';
import { JOURNAL_TABLE } from '@mercato/operator/journals/dynamodb/table.ts';
import { NODE_OPTIONS, WORKER_NODE_OPTIONS } from '@mercato/operator/node-options.ts';
import { JOURNALS } from '@mercato/operator/options.ts';
import {
  CALLER,
  DRAIN,
  deciding,
  draining,
  drainingOwn,
  OPERATOR,
  own,
  WORKER,
  watching,
  workerOwn,
  workerWatching,
} from '@mercato/operator/rights.ts';
import { DEFAULT_SHARDS, MOST_SHARDS } from '@mercato/operator/sharding/shard.ts';
import { awsName, busName, queueUrl } from '../aws/names.ts';
import { addressOf, overBus, type Program, type ServiceContext, subjectOf } from '../constructs/context.ts';
import { beforeDelete, WEIGHTS } from '../constructs/hooks.ts';
import type { k8s } from '../constructs/kube.ts';
import { rbac } from '../constructs/rights.ts';
import type { Manifest, Scope } from '../constructs/scope.ts';
import { doorAddress } from '../constructs/service.ts';
import { DATA } from '../constructs/volumes.ts';
import { all, choose, equals, isEmpty, joined, not, text } from '../holes/index.ts';
import { callersOf, portOf, serviceOf, subscribersOf } from '../model/derive.ts';
import type { Model, Service } from '../model/types.ts';
import { volumeMonitoring } from '../monitoring/index.ts';
import { type ChartDefinition, defineChart } from './chart.ts';
import { boolean, choice, extended, group, integer, namespaceList, string } from './schema.ts';
import { pods, serviceObjects, surroundings } from './service-chart.ts';
import { type ServiceValues, serviceSchema } from './service-values.ts';

/** The door of the operator that orders come in by. */
const INTAKE = 'intake';
/** The queue of its workers that orders come from. */
const ORDERS = 'orders';
const DURATION = { pattern: '^[1-9][0-9]*(s|m|h)$', maxLength: 8 };

/** The operator with the sqlite journal: one pod with a volume. */
const stored = (service: Service): Service => ({ ...service, state: { kind: 'embedded', size: '20Gi' } });

/** Only workers have what it takes in AWS: with another journal, orders on the bus would come to nobody. */
const ONLY_WITH_WORKERS = {
  if: { properties: { journal: { enum: JOURNALS.filter((journal) => journal !== 'dynamodb') } } },
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
  then: {
    properties: {
      global: { properties: { aws: { properties: { eventBus: { const: false }, commandQueues: { const: false } } } } },
    },
  },
};

const operatorSchema = (model: Model, service: Service) => ({
  ...operatorValues(model, service),
  allOf: [ONLY_WITH_WORKERS],
});

const operatorValues = (model: Model, service: Service) =>
  extended(serviceSchema(service), {
    journal: choice(
      'Where runs live: objects of Kubernetes, a file on a volume of one pod, or a table in AWS; changed only while no run is open (docs/tasks/journals.md)',
      JOURNALS,
      'kubernetes',
    ),
    persistence: serviceSchema(stored(service)).properties.persistence,
    workers: group('Who drives runs, where that is not the operator: pods of mercato-worker (journal dynamodb)', {
      resources: serviceSchema(serviceOf(model, WORKER)).properties.resources,
      autoscaling: serviceSchema(serviceOf(model, WORKER)).properties.autoscaling,
    }),
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
    intakeQueue: string('URL of another SQS queue for orders than the one that is declared (journal dynamodb)', '', {
      pattern: '^(https?://[a-z0-9.-]+/[A-Za-z0-9/._-]+)?$',
    }),
    announceBus: string(
      'Another EventBridge bus than the one that is declared, by name or ARN, that is told what becomes of orders (journal dynamodb)',
      '',
      { pattern: '^((arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[A-Za-z0-9_./-]{1,256})?$' },
    ),
    journalTable: string('Another table than the one that is declared (journal dynamodb)', '', {
      pattern: '^([a-zA-Z0-9_.-]{3,255})?$',
    }),
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
    readonly journal: (typeof JOURNALS)[number];
    readonly workers: Pick<ServiceValues, 'resources' | 'autoscaling'>;
    readonly watchNamespaces: readonly string[];
    readonly clusterWide: { readonly roles: boolean; readonly policies: boolean };
    readonly leaseDuration: string;
    readonly shards: number;
    readonly connections: number;
    readonly orders: boolean;
    readonly intakeQueue: string;
    readonly announceBus: string;
    readonly journalTable: string;
    readonly drain: { readonly enabled: boolean; readonly timeout: string; readonly force: boolean };
  };

/**
 * The chart of the operator: its program, the rights that this has, the account without any that it calls as, and what people may do. Where runs live
 * decides what runs: replicas, one pod with a volume, or replicas that look after resources beside workers that drive runs.
 */
export function operatorChart(model: Model): ChartDefinition {
  const service = serviceOf(model, OPERATOR);
  return defineChart({
    name: service.name,
    description: service.description,
    values: operatorSchema(model, service),
    render(scope, given) {
      const values = valuesOf(given);
      operator(scope, model, service, values);
      scope.when(isWith(values, 'dynamodb'), (inner) => workers(inner, model, values));
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

const isWith = ({ journal }: OperatorValues, which: OperatorValues['journal']): boolean => equals(journal, which);

function operator(scope: Scope, model: Model, service: Service, values: OperatorValues): void {
  const { global, workers: drives } = values;
  const inTable = isWith(values, 'dynamodb');
  const inFile = isWith(values, 'sqlite');
  const ctx: ServiceContext = {
    model,
    service,
    // Only that journal needs anything of AWS.
    values: { ...values, global: { ...global, aws: { ...global.aws, enabled: all(global.aws.enabled, inTable) } } },
    program: programOf(model, service, values),
  };
  surroundings(scope, ctx);
  scope.when(inFile, (inner) => volumeMonitoring(inner, { ...ctx, service: stored(service) }));
  scope.when(not(inFile), (inner) => pods(inner, ctx));
  // It drives runs as a worker does, and needs as much.
  scope.when(inFile, (inner) =>
    pods(inner, { ...ctx, service: stored(service), values: { ...ctx.values, resources: drives.resources } }),
  );
  scope.when(not(inTable), (inner) => doorAddress(inner, ctx, INTAKE));
}

/** Who drives the runs of the dynamodb journal. */
function workers(scope: Scope, model: Model, values: OperatorValues): void {
  const service = serviceOf(model, WORKER);
  const ctx = { model, service, values: { ...values, ...values.workers }, program: workerProgram(model, values) };
  serviceObjects(scope, ctx);
  doorAddress(scope, ctx, INTAKE);
  const account = { namespace: values.global.namespaces.system, name: WORKER };
  rbac(scope, workerOwn(account));
  scope.when(isEmpty(values.watchNamespaces), (everywhere) => rbac(everywhere, workerWatching(account)));
  scope.each(values.watchNamespaces, (inner, namespace) => rbac(inner, workerWatching(account, namespace)));
}

/** Runs are brought to an end while the operator and the services are still there. */
function drain(scope: Scope, ctx: ServiceContext, values: OperatorValues): void {
  const { global, watchNamespaces } = values;
  const { timeout, force } = values.drain;
  const account = { namespace: global.namespaces.system, name: DRAIN };
  const job: Service = {
    ...ctx.service,
    name: DRAIN,
    program: 'operator/src/drain.ts',
    calls: [],
    sharedTables: [],
    traces: false,
  };
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
  const { leaseDuration, shards, global, journal } = values;
  const inTable = isWith(values, 'dynamodb');
  const inFile = isWith(values, 'sqlite');
  return {
    args: [...flags(values), text('--lease-duration=', leaseDuration), text('--shards=', shards)],
    env: [
      { name: 'NODE_OPTIONS', value: choose(inFile, WORKER_NODE_OPTIONS, NODE_OPTIONS) },
      { name: 'MERCATO_JOURNAL', value: journal },
      { name: 'MERCATO_JOURNAL_PATH', value: choose(inFile, `${DATA}/journal.db`, '') },
      { name: 'MERCATO_JOURNAL_TABLE', value: choose(inTable, tableOf(values), '') },
      { name: 'MERCATO_ROLE', value: choose(inTable, 'controllers', 'all') },
      { name: 'AWS_REGION', value: global.aws.region },
      ...orders(model, service, values, all(values.orders, not(inTable))),
    ],
  };
}

/** The table with runs. */
const tableOf = ({ global, journalTable }: OperatorValues): string =>
  choose(equals(journalTable, ''), awsName(global, JOURNAL_TABLE.name), journalTable);

/** What a worker is told. Its queue is read wherever there is AWS: what lies in it when the bus is switched off is not lost. */
function workerProgram(model: Model, values: OperatorValues): Program {
  const { global, intakeQueue, announceBus } = values;
  const queue = choose(equals(intakeQueue, ''), choose(global.aws.enabled, queueUrl(global, ORDERS), ''), intakeQueue);
  const bus = choose(overBus(global), choose(equals(announceBus, ''), busName(global), announceBus), '');
  return {
    args: flags(values),
    env: [
      { name: 'NODE_OPTIONS', value: WORKER_NODE_OPTIONS },
      { name: 'MERCATO_JOURNAL', value: 'dynamodb' },
      { name: 'MERCATO_JOURNAL_TABLE', value: tableOf(values) },
      { name: 'MERCATO_ROLE', value: 'worker' },
      { name: 'AWS_REGION', value: global.aws.region },
      { name: 'MERCATO_INTAKE_QUEUE', value: choose(values.orders, queue, '') },
      { name: 'MERCATO_ANNOUNCE_BUS', value: choose(values.orders, bus, '') },
      ...orders(model, serviceOf(model, OPERATOR), values, values.orders),
    ],
  };
}

/** What every process of the operator is told. */
const flags = ({ watchNamespaces, connections }: OperatorValues): readonly string[] => [
  text('--watch-namespaces=', joined(watchNamespaces, ',')),
  `--service-account=${CALLER}`,
  text('--connections=', connections),
];

/**
 * Where orders come in, from whom, and who is told what became of them. Variables, since one that is empty counts as not said.
 * @param wanted whether this process does that
 */
function orders(model: Model, service: Service, { global }: OperatorValues, wanted: boolean): k8s.EnvVar[] {
  const senders = callersOf(model, service).filter(({ calls }) =>
    calls.some(({ to, door }) => to === service.name && door === INTAKE),
  );
  if (senders.length === 0) return [];
  const list = (parts: readonly string[]) => text(...parts.flatMap((part, i) => (i === 0 ? [part] : [',', part])));
  const whereWanted = (name: string, value: string, so = wanted) => ({ name, value: choose(so, value, '') });
  return [
    whereWanted('MERCATO_INTAKE_ADDRESS', `0.0.0.0:${portOf(service, INTAKE)}`),
    whereWanted('MERCATO_INTAKE_SUBJECTS', list(senders.map(({ name, zone }) => subjectOf(name, zone, global)))),
    whereWanted(
      'MERCATO_ANNOUNCE_TO',
      list(subscribersOf(model, service).map((each) => text(addressOf(each, global), '/events'))),
      // Not over both: each would hear all of it twice.
      all(wanted, not(overBus(global))),
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
