import type { PciSubject } from '@mercato/operator/api/pciboundary.ts';
import { type FindingRule, named } from './rule.ts';
import type { ObservedService } from './types.ts';

/** Rights in a card namespace are for its own service accounts, and for whom the boundary names. */
export const outsideSubject: FindingRule = {
  name: 'outside-subject',
  requirement: '7.2.2, 7.2.5',
  severity: 'Violation',
  holds:
    'RoleBindings of a card namespace name its own service accounts, and those from outside whom the boundary lists under access, and why.',
  find: ({ boundary, observed, isCard }) => {
    const allowed = new Set(boundary.spec.access.map(subjectKey));
    return (observed.roleBindings ?? [])
      .filter(({ metadata }) => isCard(metadata.namespace))
      .flatMap((binding) =>
        (binding.subjects ?? [])
          .filter((subject) => !isOwn(subject, binding.metadata.namespace) && !allowed.has(subjectKey(subject)))
          .map((subject) => ({
            object: named('RoleBinding', binding),
            message: `it gives ${binding.roleRef?.name ?? 'a role'} to ${subject.kind} ${subject.namespace === undefined ? '' : `${subject.namespace}/`}${subject.name}: remove it, or list it under spec.access, and why`,
          })),
      );
  },
};

/** Callers come from inside the cluster, and policies know them. */
export const serviceExposed: FindingRule = {
  name: 'service-exposed',
  requirement: '1.4.2, 1.4.4',
  severity: 'Violation',
  holds: 'Services of card namespaces are of type ClusterIP and have no external addresses.',
  find: ({ observed, isCard }) =>
    (observed.services ?? [])
      .filter(({ metadata }) => isCard(metadata.namespace))
      .flatMap((service) => {
        const how = exposure(service);
        return how === undefined
          ? []
          : [
              {
                object: named('Service', service),
                message: `it has ${how}: make it a ClusterIP; what faces the outside is in another namespace and calls as spec.ingress declares`,
              },
            ];
      }),
};

function exposure({ spec }: ObservedService): string | undefined {
  const { type = 'ClusterIP', externalIPs = [] } = spec ?? {};
  if (type !== 'ClusterIP') return `the type ${type}`;
  return externalIPs.length > 0 ? `external addresses (${externalIPs.join(', ')})` : undefined;
}

type Subject = Pick<PciSubject, 'name' | 'namespace'> & { readonly kind: string };

function subjectKey({ kind, namespace = '', name }: Subject): string {
  return JSON.stringify([kind, namespace, name]);
}

function isOwn({ kind, name, namespace }: Subject, own: string | undefined): boolean {
  return kind === 'ServiceAccount' ? namespace === own : kind === 'Group' && name === `system:serviceaccounts:${own}`;
}
