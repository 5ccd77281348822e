import type { PciBoundarySpec, PciPods, PciPort } from '@mercato/operator/api/pciboundary.ts';
import type { SeenPod } from '../kube/resources.ts';
import { APP_NAME, PROBE_OF } from '../labels.ts';
import type { Endpoint } from '../options.ts';
import { METADATA } from '../reach/types.ts';
import { MAX_WAYS, type ProbeWay } from './way.ts';

/** What a boundary declares of a way. */
export type Expected = 'Open' | 'Closed';

/** A way that somebody is to try. */
export interface PlannedWay {
  /** For people: who is reached, with port and protocol. */
  readonly to: string;
  readonly expected: Expected;
  readonly host: string;
  readonly port: number;
  readonly protocol: ProbeWay['protocol'];
}

/** A pod that tries ways. */
export interface PlannedProbe {
  /** For people: namespace and labels. */
  readonly from: string;
  readonly namespace: string;
  /** Those that policies know it by. */
  readonly labels: Readonly<Record<string, string>>;
  /** Whether it runs in a card namespace. */
  readonly card: boolean;
  readonly ways: readonly PlannedWay[];
}

/** A way that cannot be tried now. */
export interface Untried {
  readonly from: string;
  readonly to: string;
  readonly expected: Expected;
  readonly why: string;
}

/** One round of probes. */
export interface Plan {
  readonly probes: readonly PlannedProbe[];
  readonly untried: readonly Untried[];
}

/** What a plan needs to know of the cluster. */
export interface Surroundings {
  readonly pods: readonly SeenPod[];
  /** Whether there is such a namespace, and it is not going. */
  readonly hasNamespace: (name: string) => boolean;
  /** What stands for the outside world. */
  readonly outside: Endpoint;
  /** The API server as pods reach it; undefined where that is not known. It answers in every cluster, so a closed way to it means something. */
  readonly apiServer: Endpoint | undefined;
}

/** The labels of a probe that is nobody's caller. */
const STRANGER: Readonly<Record<string, string>> = { [APP_NAME]: 'mercato-boundary-probe' };

type Target = Omit<PlannedWay, 'expected'>;

/**
 * The ways to try for a boundary. Closed must be: from each listed namespace and each card namespace, by a pod that nobody declared, to every card pod
 * that somebody may call; and from each card namespace, by such a pod, to the outside, to instance metadata, to the API server and to a pod that nobody
 * may call. Open must be: what is declared between pods, tried with the caller's labels. The second kind makes the first mean something: a
 * service that is down is closed to everybody.
 */
export function planOf(spec: PciBoundarySpec, around: Surroundings): Plan {
  const untried: Untried[] = [];
  const byProbe = new Map<string, PlannedProbe & { readonly ways: PlannedWay[] }>();

  const add = (namespace: string, labels: PciPods['podLabels'], expected: Expected, targets: readonly Target[]) => {
    const from = nameOf(namespace, labels);
    const card = spec.namespaces.includes(namespace);
    const probe = byProbe.get(from) ?? { from, namespace, labels, card, ways: [] };
    byProbe.set(from, probe);
    for (const target of targets) {
      const known = probe.ways.some((way) => way.to === target.to && way.host === target.host);
      if (!known) probe.ways.push({ ...target, expected });
    }
  };

  /** Ways to pods, or why there are none. A caller's namespace that does not exist has no caller. */
  const toPods = (
    namespace: string,
    labels: PciPods['podLabels'],
    expected: Expected,
    to: PciPods,
    ports: readonly PciPort[],
  ) => {
    if (!around.hasNamespace(namespace)) return;
    const tcp = ports.filter(({ port, protocol }) => protocol === 'TCP' || port === DNS_PORT);
    const pod = readyPod(around.pods, to);
    if (pod !== undefined)
      add(
        namespace,
        labels,
        expected,
        tcp.map((port) => targetOf(to, pod, port)),
      );
    else if (tcp.length > 0)
      untried.push({
        from: nameOf(namespace, labels),
        to: nameOf(to.namespace, to.podLabels),
        expected,
        why: 'no pod of that name is ready, so nothing would answer: start one',
      });
  };

  for (const { from, to, ports } of spec.ingress) {
    toPods(from.namespace, from.podLabels, 'Open', to, ports);
    for (const namespace of [...spec.probes.namespaces, ...spec.namespaces])
      toPods(namespace, STRANGER, 'Closed', to, ports);
  }
  for (const { from, to, ports } of spec.egress)
    if (to.pods !== undefined) toPods(from.namespace, from.podLabels, 'Open', to.pods, ports);
  for (const namespace of spec.namespaces) {
    if (!around.hasNamespace(namespace)) continue;
    if (spec.dns?.pods !== undefined)
      toPods(namespace, STRANGER, 'Open', spec.dns.pods, [
        { port: DNS_PORT, protocol: 'UDP' },
        { port: DNS_PORT, protocol: 'TCP' },
      ]);
    add(namespace, STRANGER, 'Closed', outsideOf(spec, around));
  }
  return { probes: [...byProbe.values()].flatMap(split), untried };
}

const DNS_PORT = 53;

function outsideOf(spec: PciBoundarySpec, around: Surroundings): Target[] {
  const { outside, apiServer } = around;
  const metadata = { host: METADATA.address, port: 80 };
  const bystander = undeclaredPod(spec, around.pods);
  return [
    named('the outside', outside),
    named('instance metadata', metadata),
    ...(apiServer === undefined ? [] : [named('the API server', apiServer)]),
    ...(bystander === undefined ? [] : [bystander]),
  ];
}

function named(name: string, { host, port }: Endpoint): Target {
  return { to: `${name} ${host} ${port}/TCP`, host, port, protocol: 'TCP' };
}

function targetOf(to: PciPods, pod: SeenPod, { port, protocol }: PciPort): Target {
  return { to: `${nameOf(to.namespace, to.podLabels)} ${port}/${protocol}`, host: addressOf(pod), port, protocol };
}

/** A ready pod with a TCP port that no card pod may call; of the listed namespaces if there is one. */
function undeclaredPod(spec: PciBoundarySpec, pods: readonly SeenPod[]): Target | undefined {
  const declared = [
    ...spec.egress.flatMap(({ to }) => to.pods ?? []),
    ...(spec.dns?.pods === undefined ? [] : [spec.dns.pods]),
  ];
  const portOf = ({ spec: pod }: SeenPod) =>
    pod?.containers?.flatMap(({ ports = [] }) => ports).find(({ protocol = 'TCP' }) => protocol === 'TCP')
      ?.containerPort;
  const candidates = pods
    .filter((pod) => isReady(pod) && !spec.namespaces.includes(pod.metadata.namespace ?? ''))
    .filter((pod) => portOf(pod) !== undefined && !declared.some((to) => isOf(pod, to)))
    .sort((a, b) => rank(a) - rank(b) || compare(nameInFull(a), nameInFull(b)));
  const [first] = candidates;
  if (first === undefined) return undefined;
  const port = portOf(first) as number;
  return {
    to: `${nameInFull(first)} ${port}/TCP, which nobody may call`,
    host: addressOf(first),
    port,
    protocol: 'TCP',
  };

  function rank({ metadata }: SeenPod): number {
    return spec.probes.namespaces.includes(metadata.namespace ?? '') ? 0 : 1;
  }
}

function readyPod(pods: readonly SeenPod[], to: PciPods): SeenPod | undefined {
  return pods
    .filter((pod) => isReady(pod) && isOf(pod, to))
    .sort((a, b) => compare(a.metadata.name, b.metadata.name))[0];
}

function isReady({ metadata, spec, status }: SeenPod): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    metadata.labels?.[PROBE_OF] === undefined &&
    spec?.hostNetwork !== true &&
    status?.phase === 'Running' &&
    status.podIP !== undefined &&
    status.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') === true
  );
}

function isOf({ metadata }: SeenPod, { namespace, podLabels }: PciPods): boolean {
  return (
    metadata.namespace === namespace &&
    Object.entries(podLabels).every(([key, value]) => metadata.labels?.[key] === value)
  );
}

function addressOf({ status }: SeenPod): string {
  return status?.podIP ?? '';
}

function nameInFull({ metadata }: SeenPod): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function nameOf(namespace: string, labels: PciPods['podLabels']): string {
  if (labels === STRANGER) return `${namespace}, a pod that nobody declared`;
  return `${namespace} ${Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A report has room for so many ways. */
function split(probe: PlannedProbe): PlannedProbe[] {
  const parts: PlannedProbe[] = [];
  for (let start = 0; start < probe.ways.length; start += MAX_WAYS)
    parts.push({ ...probe, ways: probe.ways.slice(start, start + MAX_WAYS) });
  return parts;
}
