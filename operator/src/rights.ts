import { GROUP } from './api/kind.ts';
import { type Account, binding, type PolicyRule, type RbacObject, role } from './api/rbac.ts';

/** The operator's service account, its lease and its roles are called so. */
export const OPERATOR = 'mercato-operator';

/**
 * The account whose tokens participants get. It has no rights at all: whoever steals such a token from a participant, or from its log, can do nothing
 * with it on the API server (docs/adr/mercato-caller.md).
 */
export const CALLER = 'mercato-caller';

/** What it keeps of each of these kinds: a watch that a list begins. */
const KINDS = ['ordersagas', 'participants', 'warehouseinventories', 'restockorders', 'stockadjustments'] as const;

const rule = (group: string, resources: readonly string[], verbs: readonly string[], names?: readonly string[]) => ({
  apiGroups: [group],
  resources,
  verbs,
  ...(names !== undefined && { resourceNames: names }),
});

/**
 * What the operator does in each namespace that it looks after: where it looks after all of them a ClusterRole, else a Role in each. These rules, and
 * the two lists below, are all the rights that it has, and rights.test.ts holds them to what the API server's audit log says that it uses.
 */
export const WATCHED: readonly PolicyRule[] = [
  rule(GROUP, KINDS, ['list', 'watch']),
  // Runs: finalizers are metadata, the journal is the status, and finished runs are deleted. Views are created, and orders that come by an event.
  rule(GROUP, ['ordersagaruns'], ['get', 'list', 'watch', 'create', 'patch', 'delete']),
  rule(
    GROUP,
    ['ordersagaruns', ...KINDS].map((plural) => `${plural}/status`),
    ['patch'],
  ),
  // Proposals. Nobody's spec is written.
  rule(GROUP, ['restockorders'], ['create']),
  // Revisions that runs refer to.
  rule('apps', ['controllerrevisions'], ['get', 'create']),
  rule('events.k8s.io', ['events'], ['create', 'patch']),
  // Is a run's namespace being deleted? The API server asks for this right in the namespace itself, so a Role can give it.
  rule('', ['namespaces'], ['get']),
];

/**
 * Is the kind of runs being deleted? Only a ClusterRole can give this. An operator of some namespaces goes without: there, a run that is held past its
 * pivot keeps its object, and so the kind, until a person decides.
 */
export const CLUSTER_WIDE: readonly PolicyRule[] = [
  rule('apiextensions.k8s.io', ['customresourcedefinitions'], ['get'], [`ordersagaruns.${GROUP}`]),
];

/** What the operator does in its own namespace. @param caller the account whose tokens participants get */
export function ownRules(caller: string = CALLER): readonly PolicyRule[] {
  return [
    // The leader's, each shard's and each replica's, whose names nobody knows before; replicas that died are fenced off, and forgotten.
    rule('coordination.k8s.io', ['leases'], ['get', 'list', 'watch', 'create', 'update', 'delete']),
    // Exception records, and the memory of finished runs.
    rule('', ['configmaps'], ['list', 'create', 'patch', 'delete']),
    // Tokens for participants, each for its audience.
    rule('', ['serviceaccounts/token'], ['create'], [caller]),
  ];
}

/** The service account of workers of the dynamodb journal, and what its roles are called. */
export const WORKER = 'mercato-worker';

/** What such a worker does where it looks after runs: it reads definitions. Runs, their Views and statuses are not its own. */
export const WORKER_WATCHED: readonly PolicyRule[] = [rule(GROUP, ['ordersagas', 'participants'], ['list', 'watch'])];

/** What a worker does in the operator's own namespace. @param caller the account whose tokens participants get */
export function workerOwnRules(caller: string = CALLER): readonly PolicyRule[] {
  return [
    // The record of what intake refused.
    rule('', ['configmaps'], ['create', 'patch']),
    rule('', ['serviceaccounts/token'], ['create'], [caller]),
  ];
}

/** A worker's rights where it looks after runs. */
export function workerWatching(account: Account, namespace?: string): readonly RbacObject[] {
  return granted(WORKER, WORKER_WATCHED, account, namespace);
}

/** A worker's rights in the operator's own namespace. */
export function workerOwn(account: Account, caller?: string): readonly RbacObject[] {
  return granted(`${WORKER}-own`, workerOwnRules(caller), account, account.namespace);
}

/** The drain's account and roles, which are there only while it runs. */
export const DRAIN = 'mercato-drain';

/** What the drain does with runs. */
export const DRAIN_RUNS: readonly PolicyRule[] = [rule(GROUP, ['ordersagaruns'], ['list', 'patch'])];

/** With force it also decides about those that are held for a person, as whoever holds the role mercato-operate may. */
export const DRAIN_FORCE: readonly PolicyRule[] = [rule(GROUP, ['ordersagaruns'], ['decide'])];

/** What the drain does in the operator's own namespace: reads the memory of finished runs, and makes sure of exception records. */
export const DRAIN_OWN: readonly PolicyRule[] = [rule('', ['configmaps'], ['list', 'create'])];

/** The drain's rights where runs live: everywhere, or in one namespace. */
export function draining(account: Account, namespace?: string): readonly RbacObject[] {
  return granted(DRAIN, DRAIN_RUNS, account, namespace);
}

/** What force adds to them. */
export function deciding(account: Account, namespace?: string): readonly RbacObject[] {
  return granted(`${DRAIN}-force`, DRAIN_FORCE, account, namespace);
}

function granted(name: string, rules: readonly PolicyRule[], account: Account, namespace?: string) {
  const place = { name, ...(namespace !== undefined && { namespace }) };
  return [role(place, rules), binding(place, account)];
}

/** The drain's rights in the operator's own namespace. */
export function drainingOwn(account: Account): readonly RbacObject[] {
  return granted(`${DRAIN}-own`, DRAIN_OWN, account, account.namespace);
}

/** The operator's rights where runs live: everywhere, or in one namespace. @param name differs where a cluster has several operators */
export function watching(account: Account, namespace?: string, name: string = OPERATOR): readonly RbacObject[] {
  return granted(name, namespace === undefined ? [...WATCHED, ...CLUSTER_WIDE] : WATCHED, account, namespace);
}

/** The operator's rights in its own namespace. Named apart: runs may live in that namespace, too. */
export function own(account: Account, caller?: string): readonly RbacObject[] {
  return granted(`${OPERATOR}-own`, ownRules(caller), account, account.namespace);
}

/** Where an operator is installed. */
export interface Installation {
  readonly namespace: string;
  /** @default all, by a ClusterRole */
  readonly watchNamespaces?: readonly string[];
  /** Of ClusterRole and ClusterRoleBinding, of which a cluster may have others. @default mercato-operator */
  readonly clusterName?: string;
}

/** The operator's namespace, accounts, roles and bindings: deploy/operator.yaml, and what tests run it under. */
export function rights({ namespace, watchNamespaces = [], clusterName }: Installation): readonly object[] {
  const account = { namespace, name: OPERATOR };
  const labels = { 'app.kubernetes.io/part-of': 'mercato' };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    ...[OPERATOR, CALLER].map((name) => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace, labels },
      // Only the operator's own pods ask for a token, and say so.
      automountServiceAccountToken: false,
    })),
    ...own(account),
    ...(watchNamespaces.length === 0
      ? watching(account, undefined, clusterName)
      : watchNamespaces.flatMap((each) => watching(account, each))),
  ];
}
