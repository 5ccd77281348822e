import { any, choose } from '../holes/index.ts';
import { doorOf, portOf, scales } from '../model/derive.ts';
import { metadata, type ServiceContext, selector, shapesOf } from './context.ts';
import { k8s, kube } from './kube.ts';
import type { Scope } from './scope.ts';

/** What is behind an address of the service's. Its port is the container's: policies may be matched before or after the address is translated. */
const portOfAddress = ({ name, port }: { readonly name: string; readonly port: number }): k8s.ServicePort => ({
  name,
  port,
  targetPort: k8s.IntOrString.fromString(name),
  appProtocol: 'http',
});

/**
 * The address of a door that has one of its own.
 * @throws ModelError where the service has no such door
 */
export function doorAddress(scope: Scope, ctx: ServiceContext, door: string): void {
  const { name, port, address = ctx.service.name } = doorOf(ctx.service, door);
  kube(scope, k8s.KubeService, {
    metadata: metadata(ctx, address),
    spec: { type: 'ClusterIP', selector: selector(ctx.service), ports: [portOfAddress({ name, port })] },
  });
}

/**
 * The address of a service within the cluster. Its port is the container's: some network plugins match a policy's port before, others after the address
 * is translated. Callers of a service with several pods are sent to one in their own zone, where there is one.
 */
export function service(scope: Scope, ctx: ServiceContext): void {
  const port = portOf(ctx.service);
  const many = any(...shapesOf(ctx).flatMap((shape) => (scales(shape.service) ? [shape.holds] : [])));
  kube(
    scope,
    k8s.KubeService,
    {
      metadata: metadata(ctx),
      spec: {
        type: 'ClusterIP',
        selector: selector(ctx.service),
        ports: [
          { name: 'http', port },
          ...(ctx.service.doors ?? []).filter(({ address }) => address === undefined),
        ].map(portOfAddress),
      },
    },
    many === false ? {} : { spec: { trafficDistribution: choose<string | null>(many, 'PreferClose', null) } },
  );
}
