import type { PciBoundary } from '@mercato/operator/api/pciboundary.ts';
import type { Namespace } from '@mercato/operator/kube/types.ts';
import { CARD_DATA, YES } from '../labels.ts';
import type { Problem } from './ledger.ts';

/** Which of a boundary's namespaces it may write policies into, and why not into the others. */
export interface Territory {
  readonly namespaces: ReadonlySet<string>;
  /** Those that belong to another boundary: what this one has there goes. */
  readonly taken: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

/**
 * A namespace belongs to the oldest boundary that names it (of equally old ones, to the first by name): policies add up, so a second boundary could
 * only open what the first denies.
 *
 * @param rivals all boundaries, this one included
 * @param find a namespace by name
 */
export function territoryOf(
  boundary: PciBoundary,
  rivals: Iterable<PciBoundary>,
  find: (name: string) => Namespace | undefined,
): Territory {
  const older = [...rivals].filter((rival) => isOlder(rival, boundary));
  const namespaces = new Set<string>();
  const taken = new Set<string>();
  const problems: Problem[] = [];
  for (const name of boundary.spec.namespaces) {
    const owner = older.find(({ spec }) => spec.namespaces.includes(name));
    const namespace = find(name);
    if (owner !== undefined) {
      const message = `the namespace ${name} belongs to the PciBoundary ${owner.metadata.name}, which is older: declare its ways there`;
      taken.add(name);
      problems.push({ reason: 'NamespaceTaken', message });
    } else if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) {
      const message = `the namespace ${name} does not exist or is being deleted: make it, or remove it from spec.namespaces`;
      problems.push({ reason: 'NamespaceNotFound', message });
    } else if (namespace.metadata.labels?.[CARD_DATA] !== YES) {
      // What opens ways there stays: to close them would turn a slip with a label into an outage.
      const message = `the namespace ${name} is not guarded by admission and its policies cannot be kept: label it ${CARD_DATA}=${YES}`;
      problems.push({ reason: 'NamespaceNotLabelled', message });
    } else {
      namespaces.add(name);
    }
  }
  return { namespaces, taken, problems };
}

function isOlder(a: PciBoundary, b: PciBoundary): boolean {
  if (a.metadata.name === b.metadata.name) return false;
  const [left, right] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return left === right ? a.metadata.name < b.metadata.name : left < right;
}
