import { ADMINISTER, CARD_DATA, YES } from '../labels.ts';
import { type FindingRule, isForCards, named } from './rule.ts';

const POD_SECURITY = 'pod-security.kubernetes.io/enforce';

/** Admission knows card namespaces by their label. */
export const namespaceUnlabelled: FindingRule = {
  name: 'namespace-unlabelled',
  requirement: '1.2.8, 2.2.6',
  severity: 'Violation',
  holds: `Card namespaces have the label ${CARD_DATA}=${YES}, by which admission guards them.`,
  find: ({ boundary, namespaces }) =>
    boundary.spec.namespaces
      .flatMap((name) => namespaces.get(name) ?? [])
      .filter((namespace) => !isForCards(namespace))
      .map((namespace) => ({
        object: named('Namespace', namespace),
        message: `admission does not guard it: have a holder of the verb ${ADMINISTER} on pciboundaries label it ${CARD_DATA}=${YES}`,
      })),
};

/** The other direction: what admission guards without any boundary has no policies. */
export const namespaceUndeclared: FindingRule = {
  name: 'namespace-undeclared',
  requirement: '12.5.2',
  severity: 'Warning',
  holds: `Every namespace with the label ${CARD_DATA}=${YES} is one of the boundary’s: the scope is the same wherever one looks.`,
  find: ({ observed, isCard }) =>
    observed.namespaces
      .filter((namespace) => isForCards(namespace) && !isCard(namespace.metadata.name))
      .map((namespace) => ({
        object: named('Namespace', namespace),
        message:
          'it says that it is for card data, and this boundary does not know it: add it to the spec.namespaces of a PciBoundary, or remove the label',
      })),
};

/** What a container may ask of its node. */
export const podSecurity: FindingRule = {
  name: 'pod-security',
  requirement: '2.2.6',
  severity: 'Violation',
  holds: 'Card namespaces enforce the Pod Security Standard “restricted”.',
  find: ({ boundary, namespaces }) =>
    boundary.spec.namespaces
      .flatMap((name) => namespaces.get(name) ?? [])
      .filter(({ metadata }) => metadata.labels?.[POD_SECURITY] !== 'restricted')
      .map((namespace) => ({
        object: named('Namespace', namespace),
        message: `privileged pods could start there: label it ${POD_SECURITY}=restricted`,
      })),
};

/** A quota bounds what a stolen deployer's token can start beside card data. */
export const quotaMissing: FindingRule = {
  name: 'quota-missing',
  requirement: '2.2.6',
  severity: 'Warning',
  holds:
    'Card namespaces have a ResourceQuota, so that nothing that starts there can take the card nodes from the rest.',
  find: ({ boundary, observed, namespaces }) =>
    observed.quotas === undefined
      ? []
      : boundary.spec.namespaces
          .filter(
            (name) => namespaces.has(name) && !observed.quotas?.some(({ metadata }) => metadata.namespace === name),
          )
          .map((name) => ({
            object: `Namespace ${name}`,
            message: 'it has no ResourceQuota: install the chart mercato-boundary again, which has one',
          })),
};
