import { all, equals, isEmpty, not, tcpPorts } from '../holes/index.ts';
import {
  calleesOf,
  callersOf,
  checksTokens,
  isController,
  portOf,
  portsCalled,
  traces,
  usesAws,
} from '../model/derive.ts';
import type { Call, Service } from '../model/types.ts';
import { applies, made, metadata, namespaceOf, type ServiceContext, selector } from './context.ts';
import { k8s, kube } from './kube.ts';
import type { Scope } from './scope.ts';

/** Where EKS' Pod Identity agent listens on each node. The one link-local address that pods may reach; instance metadata is none. */
const POD_IDENTITY_AGENT = '169.254.170.23/32';

const port = (number: number, protocol = 'TCP'): k8s.NetworkPolicyPort => ({
  port: k8s.IntOrString.fromNumber(number),
  protocol,
});

/**
 * Who may reach a service and whom it may reach: nobody, but for one policy for each way that the model names, so that what closes when one is
 * deleted can be told from its name. In the card zone there are none of the service's: the namespace denies all, and its PciBoundary alone opens
 * ways. Any other policy there would be a violation of it.
 */
export function networkPolicies(scope: Scope, ctx: ServiceContext): void {
  if (ctx.service.zone === 'card') return;
  deny(scope, ctx);
  ingress(scope, ctx);
  egress(scope, ctx);
}

/** Selected, and nothing allowed, both ways. */
function deny(scope: Scope, ctx: ServiceContext): void {
  policy(scope, ctx, 'deny', { policyTypes: ['Ingress', 'Egress'] });
}

function ingress(scope: Scope, ctx: ServiceContext): void {
  const { model, service, values } = ctx;
  const { monitoring } = values.global;
  const ports = [port(portOf(service))];
  for (const caller of callersOf(model, service))
    policy(scope, ctx, `from-${caller.name}`, {
      ingress: [{ from: [peerOf(ctx, caller)], ports: portsCalled(caller, service).map((number) => port(number)) }],
    });
  scope.when(monitoring.enabled, (inner) => {
    const prometheus = peer(monitoring.namespace, monitoring.podLabels);
    policy(inner, ctx, 'from-monitoring', { ingress: [{ from: [prometheus], ports }] });
  });
  // An empty list of peers is everybody.
  scope.when(not(isEmpty(values.callers)), (inner) => {
    policy(inner, ctx, 'from-others', { ingress: [{ from: values.callers as k8s.NetworkPolicyPeer[], ports }] });
  });
}

function egress(scope: Scope, ctx: ServiceContext): void {
  const { model, service, values } = ctx;
  const { cluster, aws, tracing } = values.global;
  const asksApiServer = checksTokens(service) || isController(service);
  const toOutside = (inner: Scope, name: string, ports: readonly number[]) =>
    inner.when(not(isEmpty(values.outsidePeers)), (some) => {
      const to = values.outsidePeers as k8s.NetworkPolicyPeer[];
      policy(some, ctx, name, { egress: [{ to, ports: ports.map((number) => port(number)) }] });
    });

  if (asksApiServer || service.calls.length > 0 || (service.outside ?? []).length > 0 || usesAws(service))
    scope.when(not(isEmpty(cluster.dnsPeers)), (inner) => {
      const to = cluster.dnsPeers as k8s.NetworkPolicyPeer[];
      policy(inner, ctx, 'to-dns', { egress: [{ to, ports: [port(53, 'UDP'), port(53)] }] });
    });
  if (asksApiServer)
    scope.when(all(not(isEmpty(cluster.apiServerPeers)), not(isEmpty(cluster.apiServerPorts))), (inner) => {
      const to = cluster.apiServerPeers as k8s.NetworkPolicyPeer[];
      const ports = tcpPorts(cluster.apiServerPorts) as unknown as k8s.NetworkPolicyPort[];
      policy(inner, ctx, 'to-api-server', { egress: [{ to, ports }] });
    });
  for (const [i, callee] of calleesOf(model, service).entries())
    scope.when(made(service.calls[i] as Call, values), (inner) => {
      policy(inner, ctx, `to-${callee.name}`, {
        egress: [{ to: [peerOf(ctx, callee)], ports: [port(portOf(callee, service.calls[i]?.door))] }],
      });
    });
  for (const { name, ports, when } of service.outside ?? [])
    scope.when(applies(when, values), (inner) => toOutside(inner, `to-outside-${name}`, ports));
  if (service.announces !== undefined) {
    const { peers, ports } = values.announceTo;
    scope.when(all(not(isEmpty(peers)), not(isEmpty(ports))), (inner) => {
      const to = peers as k8s.NetworkPolicyPeer[];
      policy(inner, ctx, 'to-announced', {
        egress: [{ to, ports: tcpPorts(ports) as unknown as k8s.NetworkPolicyPort[] }],
      });
    });
  }
  if (traces(service))
    scope.when(tracing.enabled, (inner) => {
      const to = [peer(tracing.namespace, tracing.podLabels)];
      policy(inner, ctx, 'to-collector', { egress: [{ to, ports: [port(tracing.port)] }] });
    });
  if (usesAws(service))
    scope.when(aws.enabled, (inner) => {
      toOutside(inner, 'to-aws', [443]);
      inner.when(equals(aws.identity, 'pod-identity'), (agent) => {
        const to = [{ ipBlock: { cidr: POD_IDENTITY_AGENT } }];
        policy(agent, ctx, 'to-pod-identity', { egress: [{ to, ports: [port(80)] }] });
      });
    });
}

type Ways = Pick<k8s.NetworkPolicySpec, 'ingress' | 'egress' | 'policyTypes'>;

function policy(scope: Scope, ctx: ServiceContext, way: string, ways: Ways): void {
  kube(scope, k8s.KubeNetworkPolicy, {
    metadata: metadata(ctx, `${ctx.service.name}-${way}`),
    spec: {
      podSelector: { matchLabels: selector(ctx.service) },
      policyTypes: [ways.ingress === undefined ? 'Egress' : 'Ingress'],
      ...ways,
    },
  });
}

const peerOf = ({ values }: ServiceContext, other: Service): k8s.NetworkPolicyPeer =>
  peer(namespaceOf(other.zone, values.global), selector(other));

/** Namespace and pods in one peer: as two entries of a list each of them alone would be let through. */
const peer = (namespace: string, podLabels: Record<string, string>): k8s.NetworkPolicyPeer => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  podSelector: { matchLabels: podLabels },
});
