import type { PciBoundarySpec, PciPods } from '@mercato/operator/api/pciboundary.ts';
import type { Boundary } from '../policy/types.ts';

/** Pods of a namespace by the label `app`. */
export function pods(namespace: string, app: string): PciPods {
  return { namespace, podLabels: { app } };
}

/** A PciBoundary named `boundary` around the namespace `card`, as the API server stores it, with other fields of spec on top. */
export function boundaryOf(spec: Partial<PciBoundarySpec> = {}): Boundary {
  const probes = { interval: '10m', namespaces: [] };
  return {
    metadata: { name: 'boundary' },
    spec: { namespaces: ['card'], ingress: [], egress: [], access: [], probes, ...spec },
  };
}
