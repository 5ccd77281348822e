import { isStateful, scales } from '../model/derive.ts';
import { metadata, type ServiceContext, selector } from './context.ts';
import { k8s, kube } from './kube.ts';
import type { Scope } from './scope.ts';

/**
 * How many pods a drain may take at once. Said as what may be missing, never as what must be there: `minAvailable` of a service that runs with its least
 * pods would stop a drain for ever. Pods that are not ready anyway may always be evicted. A service of one pod has no budget: it
 * could only say that the pod may go, which is so without it, or that the node may never be drained.
 */
export function disruptionBudget(scope: Scope, ctx: ServiceContext): void {
  const { service } = ctx;
  if (isStateful(service)) return;
  kube(scope, k8s.KubePodDisruptionBudget, {
    metadata: metadata(ctx),
    spec: {
      // Rounded up, so never none.
      maxUnavailable: scales(service) ? k8s.IntOrString.fromString('25%') : k8s.IntOrString.fromNumber(1),
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selector(service) },
    },
  });
}
