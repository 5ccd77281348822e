import { declarations, namespaces, roleBindings, tokens } from './admission/access.ts';
import { callers, probeRemovals, probes } from './admission/callers.ts';
import { addresses, endpoints, enforcers, networkPolicies, services } from './admission/network.ts';
import { bindings, nodes, tolerations } from './admission/nodes.ts';
import { connections, ephemeralContainers, podLabels, pods } from './admission/pods.ts';
import { type AdmissionObject, policyOf, type Rule } from './admission/policy.ts';

export type { AdmissionObject } from './admission/policy.ts';

/** Every policy; a new one is a rule in admission/ and a line here. */
const RULES: readonly Rule[] = [
  networkPolicies,
  enforcers,
  services,
  addresses,
  endpoints,
  pods,
  podLabels,
  ephemeralContainers,
  connections,
  tolerations,
  bindings,
  nodes,
  roleBindings,
  tokens,
  namespaces,
  declarations,
  callers,
  probeRemovals,
  probes,
];

/**
 * What of the PCI boundary is prevented: a ValidatingAdmissionPolicy and its binding for each rule, as the chart mercato-boundary installs them. They hold
 * no names of this installation: card namespaces are those with the label mercato.dev/card-data, and who may do more is who RBAC gives the verbs
 * `enforce` (the controller) and `administer` (people) on pciboundaries.
 */
export function admission(): readonly AdmissionObject[] {
  return RULES.flatMap(policyOf);
}
