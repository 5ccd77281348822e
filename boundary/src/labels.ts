/** Labels, taints and verbs that the PCI boundary is made of: said once, used by the controller, the admission policies and the probes. */

/** On a namespace and on a node: it is for card data. Also the key of the taint on such nodes. */
export const CARD_DATA = 'mercato.dev/card-data';
/** The value of {@link CARD_DATA}, as label and as taint. */
export const YES = 'true';
/** The taint of nodes that are for card data alone: `mercato.dev/card-data=true:NoSchedule`. */
export const CARD_TAINT = { key: CARD_DATA, value: YES, effect: 'NoSchedule' } as const;
/** On a namespace whose pods run on every node, card nodes included: log shippers, monitoring and storage agents. */
export const NODE_AGENTS = 'mercato.dev/node-agents';
/** On a probe's Job and pods: the PciBoundary that it proves. */
export const PROBE_OF = 'mercato.dev/boundary-probe';
/** What pods are selected by: the name of their service. */
export const APP_NAME = 'app.kubernetes.io/name';
/** Namespaces whose pods run on every node whatever their labels. Others say so by {@link NODE_AGENTS}. */
export const SYSTEM_NAMESPACES: readonly string[] = ['kube-system'];

/** The verb on pciboundaries of the boundary's controller: its holder keeps the NetworkPolicies of card namespaces, and starts probes. */
export const ENFORCE = 'enforce';
/** The verb on pciboundaries of people (and of what installs the shop, such as Argo CD): its holder may do what is forbidden to all others. */
export const ADMINISTER = 'administer';
