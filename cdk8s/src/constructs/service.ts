import { portOf, scales } from '../model/derive.ts';
import { metadata, type ServiceContext, selector } from './context.ts';
import { k8s, kube } from './kube.ts';
import type { Scope } from './scope.ts';

/**
 * The address of a service within the cluster. Its port is the container's: some network plugins match a policy's port before, others after the address
 * is translated. Callers of a service with several pods are sent to one in their own zone, where there is one.
 */
export function service(scope: Scope, ctx: ServiceContext): void {
  const port = portOf(ctx.service);
  kube(
    scope,
    k8s.KubeService,
    {
      metadata: metadata(ctx),
      spec: {
        type: 'ClusterIP',
        selector: selector(ctx.service),
        ports: [{ name: 'http', port }, ...(ctx.service.doors ?? [])].map((each) => ({
          name: each.name,
          port: each.port,
          targetPort: k8s.IntOrString.fromString(each.name),
          appProtocol: 'http',
        })),
      },
    },
    scales(ctx.service) ? { spec: { trafficDistribution: 'PreferClose' } } : {},
  );
}
