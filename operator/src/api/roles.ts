import { kinds } from './index.ts';
import { GROUP } from './kind.ts';
import { type PolicyRule, type RbacObject, role } from './rbac.ts';

/** What the names of the roles begin with. */
const PREFIX = 'mercato-';
const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'update', 'patch', 'delete'];
const CHANGE = ['update', 'patch'];

const on = (resources: readonly string[], verbs: readonly string[]): PolicyRule => ({
  apiGroups: [GROUP],
  resources,
  verbs,
});

/** `to` is the built-in role that this becomes a part of (`view` is a part of `edit`, and `edit` of `admin`). */
function people(name: string, does: string, rules: readonly PolicyRule[], to?: 'view' | 'edit'): RbacObject {
  const labels = to === undefined ? {} : { [`rbac.authorization.k8s.io/aggregate-to-${to}`]: 'true' };
  return role({ name: `${PREFIX}${name}`, labels, annotations: { [`${GROUP}/description`]: does } }, rules);
}

/**
 * The roles of people. None has `/status`: only the operator writes what it observed, and a run whose status was edited is held.
 *
 * Deciding about a held run and approving a restock move money, so neither comes with `edit`: the verbs `decide` and `approve` are checked by the
 * admission policies whenever the field is set (policies.ts).
 */
export function roles(): RbacObject[] {
  const all = kinds.map((kind) => kind.plural);
  return [
    people('view', 'Sees everything of the shop.', [on(all, READ)], 'view'),
    people(
      'edit',
      'Defines sagas and warehouses, starts runs, corrects stock, proposes restocks. Sets no decision and no approval.',
      [on(['ordersagas', 'ordersagaruns', 'warehouseinventories', 'restockorders', 'stockadjustments'], WRITE)],
      'edit',
    ),
    // Not a part of admin: who writes Participants has the operator's tokens sent where they like.
    // `administer` is asked for by the admission policies that keep the card namespaces as their PciBoundary says.
    people('platform', 'Writes Participants: who is called, with which token. Draws PCI boundaries.', [
      on(['participants'], WRITE),
      on(['pciboundaries'], [...WRITE, 'administer']),
    ]),
    people('operate', 'Sees everything, pauses runs, and decides about held ones.', [
      on(all, READ),
      on(['ordersagaruns'], [...CHANGE, 'decide']),
    ]),
    people('approve', 'Sees everything, approves, rejects and cancels restocks.', [
      on(all, READ),
      on(['restockorders'], [...CHANGE, 'approve']),
    ]),
  ];
}
