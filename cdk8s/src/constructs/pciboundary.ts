import type { PciEgress, PciIngress, PciPods } from '@mercato/operator/api/pciboundary.ts';
import { POD_IDENTITY_CIDR } from '@mercato/operator/api/pciboundary.ts';
import type { GlobalValues } from '../charts/global.ts';
import { all, concatenated, equals, isEmpty, not, onlyIf, optional } from '../holes/index.ts';
import { callersOf, checksTokens, inZone, portOf, serviceOf, traces, usesAws } from '../model/derive.ts';
import type { Call, Model, Service } from '../model/types.ts';
import { namespaceOf, selector } from './context.ts';
import type { Scope } from './scope.ts';

/** The name of the PciBoundary, with which the names of its policies begin. */
export const BOUNDARY = 'card';

/** What an installation says of the boundary: what the model cannot know, because it is addresses and people. */
export interface BoundaryValues {
  readonly global: GlobalValues;
  /** By service and setting: those that ways of card services depend on. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;
  /** By service and outside call. */
  readonly outside: Readonly<Record<string, Readonly<Record<string, Outside>>>>;
  readonly aws: { readonly cidrs: readonly Block[] };
  readonly dns: {
    readonly namespace: string;
    readonly podLabels: Readonly<Record<string, string>>;
    readonly cidrs: readonly string[];
  };
  readonly apiServer: { readonly cidrs: readonly string[]; readonly ports: readonly number[] };
  readonly ingress: readonly PciIngress[];
  readonly egress: readonly PciEgress[];
  readonly access: readonly object[];
  readonly probes: {
    readonly interval: string;
    readonly namespaces: readonly string[];
    readonly image: string | null;
  };
}

type Block = NonNullable<PciEgress['to']['cidrs']>[number];

/** Where something outside of the cluster is. */
export interface Outside {
  readonly cidrs: readonly Block[];
  /** See PciBoundary's `wide`. */
  readonly wide: boolean;
}

/**
 * What may reach card services and whom they may reach: the model's calls and nothing else, with the addresses that the installation gives. Each way
 * has its reason from the model, for the yearly review.
 */
export function pciBoundary(scope: Scope, model: Model, values: BoundaryValues): void {
  const { global, dns, apiServer, access, probes } = values;
  const card = inZone(model, 'card');
  scope.add({
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'PciBoundary',
    metadata: {
      name: BOUNDARY,
      labels: { 'app.kubernetes.io/part-of': 'mercato' },
      // What it finds is often mended by a chart of a later wave, which Argo CD would hold back until it finds nothing.
      // A wave of its own: Argo CD deletes the last wave first, and only the controller can let it go.
      annotations: { 'argocd.argoproj.io/ignore-healthcheck': 'true', 'argocd.argoproj.io/sync-wave': '1' },
    },
    spec: {
      namespaces: [namespaceOf('card', global)],
      ingress: concatenated(...card.flatMap((service) => waysIn(model, service, values)), values.ingress),
      egress: concatenated(...card.flatMap((service) => waysOut(model, service, values)), values.egress),
      dns: {
        pods: { namespace: dns.namespace, podLabels: dns.podLabels },
        cidrs: optionalList(dns.cidrs),
      },
      apiServer: optional(not(isEmpty(apiServer.cidrs)), {
        cidrs: apiServer.cidrs,
        ports: apiServer.ports,
        pods: card.filter(checksTokens).map((service) => podsOf(service, global)),
      }),
      access,
      probes: { ...probes },
    },
  });
}

const tcp = (port: number) => ({ port, protocol: 'TCP' as const });

const podsOf = (service: Service, global: GlobalValues): PciPods => ({
  namespace: namespaceOf(service.zone, global),
  podLabels: selector(service),
});

/** Whether a way is there under the settings of the service that makes it, as far as this chart knows them. */
function applies(when: Call['when'], settings: BoundaryValues['settings'][string] = {}): boolean {
  return all(
    ...Object.entries(when ?? {}).map(([name, value]) => name in settings && equals(settings[name] ?? '', value)),
  );
}

function waysIn(model: Model, service: Service, { global }: BoundaryValues): (readonly PciIngress[])[] {
  const to = podsOf(service, global);
  const ports = [tcp(portOf(service))];
  const { monitoring } = global;
  const callers = callersOf(model, service).map(
    (caller): PciIngress => ({
      name: `${caller.name}-to-${service.name}`,
      from: podsOf(caller, global),
      to,
      ports,
      why: reason(caller, service),
    }),
  );
  const prometheus: PciIngress = {
    name: `prometheus-to-${service.name}`,
    from: { namespace: monitoring.namespace, podLabels: monitoring.podLabels },
    to,
    ports,
    why: 'Prometheus reads its metrics, which hold no card data',
  };
  return [callers, onlyIf(monitoring.enabled, [prometheus])];
}

const reason = (caller: Service, { name }: Service): string =>
  `${caller.name}: ${caller.calls
    .filter(({ to }) => to === name)
    .map(({ why }) => why)
    .join('; ')}`;

function waysOut(model: Model, service: Service, values: BoundaryValues): (readonly PciEgress[])[] {
  const { global, settings, outside, aws } = values;
  const from = podsOf(service, global);
  const own = settings[service.name];
  const way = (name: string, rest: Pick<PciEgress, 'to' | 'ports' | 'why'> & Partial<PciEgress>): PciEgress =>
    ({ name: `${service.name}-to-${name}`, from, ...rest }) as PciEgress;

  const calls = service.calls.map(({ to, why, when }) => {
    const callee = serviceOf(model, to);
    return onlyIf(applies(when, own), [
      way(to, { to: { pods: podsOf(callee, global) }, ports: [tcp(portOf(callee))], why }),
    ]);
  });
  const companies = (service.outside ?? []).map(({ name, ports, why, when }) => {
    const { cidrs = [], wide = false } = outside[service.name]?.[name] ?? {};
    return onlyIf(all(applies(when, own), not(isEmpty(cidrs))), [
      way(name, { to: { cidrs: cidrs as Block[] }, ports: ports.map(tcp), wide, why }),
    ]);
  });
  const { enabled: traced, namespace, podLabels, port } = global.tracing;
  const collector = onlyIf(all(traced, traces(service)), [
    way('collector', {
      to: { pods: { namespace, podLabels } },
      ports: [tcp(port)],
      why: 'Traces, which hold no card data (docs/concepts/tracing.md)',
    }),
  ]);
  if (!usesAws(service)) return [...calls, ...companies, collector];
  const { enabled, identity } = global.aws;
  return [
    ...calls,
    ...companies,
    collector,
    onlyIf(all(enabled, not(isEmpty(aws.cidrs))), [
      way('aws', { to: { cidrs: aws.cidrs as Block[] }, ports: [tcp(443)], why: 'AWS by VPC endpoints' }),
    ]),
    onlyIf(all(enabled, equals(identity, 'pod-identity')), [
      way('pod-identity', {
        to: { cidrs: [{ cidr: POD_IDENTITY_CIDR }] },
        ports: [tcp(80)],
        why: 'The EKS Pod Identity agent gives it its AWS credentials',
      }),
    ]),
  ];
}

/** A list that is left out where it is empty. */
const optionalList = <T>(list: readonly T[]) => optional(not(isEmpty(list)), list);
