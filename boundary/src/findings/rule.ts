import type { PciFinding } from '@mercato/operator/api/pciboundary.ts';
import type { KubeObject, Namespace } from '@mercato/operator/kube/types.ts';
import { CARD_DATA, NODE_AGENTS, SYSTEM_NAMESPACES, YES } from '../labels.ts';
import type { Boundary } from '../policy/types.ts';
import type { Observed, ObservedPod } from './types.ts';

/** What is wrong with one object, and what to do. */
export interface Fault {
  /** `Kind namespace/name`. */
  readonly object: string;
  readonly message: string;
}

/** One rule: pure, and named in docs/pci/findings.md, which is made from these. */
export interface FindingRule {
  readonly name: string;
  /** Numbers of requirements of PCI DSS 4.0.1 that the rule serves; none of them is met by the rule alone. */
  readonly requirement: string;
  readonly severity: PciFinding['severity'];
  /** What holds where the rule finds nothing, and why it matters. */
  readonly holds: string;
  readonly find: (scene: Scene) => readonly Fault[];
}

/** What rules look at: the boundary, what was observed, and what follows from both at once. */
export interface Scene {
  readonly boundary: Boundary;
  readonly observed: Observed;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /** Names of nodes that are for card data; undefined where nodes are not watched. */
  readonly cardNodes: ReadonlySet<string> | undefined;
  /** Pods of the card namespaces that run or may yet run. */
  readonly cardPods: readonly ObservedPod[];
  /** Such pods of all other namespaces. */
  readonly otherPods: readonly ObservedPod[];
  readonly isCard: (namespace: string | undefined) => boolean;
  /** Whether its pods run on every node, as those of kube-system do: log shippers, monitoring and storage agents. */
  readonly hasNodeAgents: (namespace: string | undefined) => boolean;
}

/** Sorts what was observed for the rules. */
export function sceneOf(boundary: Boundary, observed: Observed): Scene {
  const card = new Set(boundary.spec.namespaces);
  const isCard = (namespace: string | undefined): boolean => namespace !== undefined && card.has(namespace);
  const namespaces = new Map(observed.namespaces.map((namespace) => [namespace.metadata.name, namespace]));
  const running = observed.pods.filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
  return {
    boundary,
    // Whoever watches every policy may give them all.
    observed: { ...observed, policies: observed.policies.filter(({ metadata }) => isCard(metadata.namespace)) },
    namespaces,
    cardNodes: observed.nodes && new Set(observed.nodes.filter(isForCards).map(({ metadata }) => metadata.name)),
    cardPods: running.filter(({ metadata }) => isCard(metadata.namespace)),
    otherPods: running.filter(({ metadata }) => !isCard(metadata.namespace)),
    isCard,
    hasNodeAgents: (namespace) =>
      namespace !== undefined &&
      (SYSTEM_NAMESPACES.includes(namespace) || namespaces.get(namespace)?.metadata.labels?.[NODE_AGENTS] === YES),
  };
}

/** Whether a namespace or node says of itself that it is for card data. */
export function isForCards({ metadata }: KubeObject): boolean {
  return metadata.labels?.[CARD_DATA] === YES;
}

/** How findings name an object. */
export function named(kind: string, { metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
}
