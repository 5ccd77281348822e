import { kinds } from './index.ts';
import { GROUP } from './kind.ts';

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'update', 'patch', 'delete'];
const CHANGE = ['update', 'patch'];

interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const on = (resources: readonly string[], verbs: readonly string[]): PolicyRule => ({
  apiGroups: [GROUP],
  resources,
  verbs,
});

/** `to` is the built-in role that this becomes a part of (`view` is a part of `edit`, and `edit` of `admin`). */
function role(name: string, does: string, rules: readonly PolicyRule[], to?: 'view' | 'edit'): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: {
      name: `mercato-${name}`,
      labels: {
        'app.kubernetes.io/part-of': 'mercato',
        ...(to !== undefined && { [`rbac.authorization.k8s.io/aggregate-to-${to}`]: 'true' }),
      },
      annotations: { [`${GROUP}/description`]: does },
    },
    rules,
  };
}

/**
 * The roles of people. None has `/status`: only the operator writes what it observed, and a run whose status was edited is held.
 *
 * Deciding about a held run and approving a restock move money, so neither comes with `edit`: the verbs `decide` and `approve` are checked by the
 * admission policies whenever the field is set (policies.ts).
 */
export function roles(): object[] {
  const all = kinds.map((kind) => kind.plural);
  return [
    role('view', 'Sees everything of the shop.', [on(all, READ)], 'view'),
    role(
      'edit',
      'Defines sagas and warehouses, starts runs, corrects stock, proposes restocks. Sets no decision and no approval.',
      [on(['ordersagas', 'ordersagaruns', 'warehouseinventories', 'restockorders', 'stockadjustments'], WRITE)],
      'edit',
    ),
    // Not a part of admin: who writes Participants has the operator's tokens sent where they like.
    // `administer` is asked for by the admission policies that keep the card namespaces as their PciBoundary says.
    role('platform', 'Writes Participants: who is called, with which token. Draws PCI boundaries.', [
      on(['participants'], WRITE),
      on(['pciboundaries'], [...WRITE, 'administer']),
    ]),
    role('operate', 'Sees everything, pauses runs, and decides about held ones.', [
      on(all, READ),
      on(['ordersagaruns'], [...CHANGE, 'decide']),
    ]),
    role('approve', 'Sees everything, approves, rejects and cancels restocks.', [
      on(all, READ),
      on(['restockorders'], [...CHANGE, 'approve']),
    ]),
  ];
}
