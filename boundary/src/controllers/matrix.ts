import type { PciBoundary, PciBoundaryStatus, PciPods } from '@mercato/operator/api/pciboundary.ts';
import type { Namespace } from '@mercato/operator/kube/types.ts';
import type { NetworkPolicy } from '../policy/types.ts';
import { digestOf, matrixOf, strangers } from '../reach/matrix.ts';
import type { Workload } from '../reach/types.ts';

/** The summary of a matrix, as a status has it. */
export type MatrixSummary = NonNullable<PciBoundaryStatus['matrix']>;

/**
 * What may reach what under the policies in force: the workloads that a boundary names, a pod that it does not name in each of their namespaces,
 * and the world outside. Worked out anew only when something that it depends on has changed.
 */
export class MatrixKeeper {
  readonly #known = new Map<string, { readonly key: string; readonly summary: MatrixSummary }>();

  summaryOf(
    boundary: PciBoundary,
    policies: readonly NetworkPolicy[],
    namespaces: readonly Namespace[],
  ): MatrixSummary {
    const { name, uid, generation } = boundary.metadata;
    const workloads = workloadsOf(boundary, namespaces);
    const versions = policies.map(({ metadata }) => `${metadata.uid} ${metadata.resourceVersion}`).sort();
    const key = JSON.stringify([uid, generation, versions, workloads.map(({ namespaceLabels }) => namespaceLabels)]);
    const known = this.#known.get(name);
    if (known?.key === key) return known.summary;
    const matrix = matrixOf(workloads, policies);
    const summary = { digest: digestOf(matrix), ways: matrix.ways.length, workloads: matrix.workloads };
    this.#known.set(name, { key, summary });
    return summary;
  }

  forget(name: string): void {
    this.#known.delete(name);
  }
}

/** The workloads that a boundary names, and for each of their namespaces a pod that it does not. */
export function workloadsOf({ spec }: PciBoundary, namespaces: readonly Namespace[]): Workload[] {
  const named: PciPods[] = [
    ...spec.ingress.flatMap(({ from, to }) => [from, to]),
    ...spec.egress.flatMap(({ from, to }) => [from, ...(to.pods === undefined ? [] : [to.pods])]),
    ...(spec.dns?.pods === undefined ? [] : [spec.dns.pods]),
    ...(spec.apiServer?.pods ?? []),
  ];
  const labels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  const workloads = new Map<string, Workload>();
  for (const { namespace, podLabels } of named) {
    const name = Object.entries(podLabels)
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(',');
    workloads.set(`${namespace} ${name}`, { namespace, name, labels: podLabels, namespaceLabels: {} });
  }
  const places = new Set([...spec.namespaces, ...[...workloads.values()].map(({ namespace }) => namespace)]);
  return [...workloads.values(), ...strangers([...places])].map((workload) => ({
    ...workload,
    namespaceLabels: labels.get(workload.namespace) ?? {},
  }));
}
