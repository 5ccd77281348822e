import { CARD_DATA, CARD_TAINT, YES } from '@mercato/boundary/labels.ts';
import { appended, choose, isSet, mergedUnder, text } from '../holes/index.ts';
import { isController, isStateful, portOf, scales } from '../model/derive.ts';
import { labels, type ServiceContext, selector } from './context.ts';
import { environment } from './environment.ts';
import { k8s } from './kube.ts';
import { probes } from './probes.ts';
import { volumeMounts, volumes } from './volumes.ts';

/** The user and group of every image (Dockerfile). */
const USER = 65_532;

/** Where the pods of the card zone run, and nobody else's: a label, and a taint that they bear. */
const CARD_NODES = {
  label: { [CARD_DATA]: YES },
  toleration: { ...CARD_TAINT, operator: 'Equal' },
};

/**
 * Seconds that a pod goes on serving after it was told to go: so long takes it until every node's proxy and every client with an open connection has
 * heard of it. Shorter than any grace that values allow.
 */
export const DRAIN_SECONDS = 5;

/** What pod templates have that cdk8s-plus-28 does not know: no image has a shell to sleep with. */
export const NEWER_IN_TEMPLATE = {
  spec: { containers: [{ lifecycle: { preStop: { sleep: { seconds: DRAIN_SECONDS } } } }] },
};

/** The template of a service's pods. It passes Pod Security's profile "restricted". */
export function podTemplate(ctx: ServiceContext): k8s.PodTemplateSpec {
  const { service, values } = ctx;
  return {
    metadata: { labels: labels(service), annotations: values.podAnnotations },
    spec: {
      serviceAccountName: service.name,
      automountServiceAccountToken: isController(service),
      enableServiceLinks: false,
      terminationGracePeriodSeconds: values.terminationGracePeriodSeconds,
      imagePullSecrets: values.global.image.pullSecrets,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER,
        runAsGroup: USER,
        fsGroup: USER,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...placement(ctx),
      containers: [container(ctx)],
      volumes: volumes(ctx),
    },
  };
}

function container(ctx: ServiceContext): k8s.Container {
  const { service, values } = ctx;
  const cpu = k8s.Quantity.fromString(values.resources.cpu);
  const memory = k8s.Quantity.fromString(values.resources.memory);
  return {
    name: service.name,
    image: imageOf(ctx),
    imagePullPolicy: values.global.image.pullPolicy,
    workingDir: '/app',
    args: [service.program, ...(ctx.program?.args ?? [])],
    env: appended(environment(ctx), values.extraEnv),
    ports: [
      { name: 'http', containerPort: portOf(service) },
      ...(service.doors ?? []).map((door) => ({ name: door.name, containerPort: door.port })),
    ],
    resources: { requests: { cpu, memory }, limits: { memory } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    ...probes(service.component),
    volumeMounts: volumeMounts(ctx),
  };
}

/** `registry/repository@digest` where a digest is given, else with the service's own tag, else with that of all images. */
export function imageOf({ values }: Pick<ServiceContext, 'values'>): string {
  const { image: own, global } = values;
  const tag = choose(isSet(own.tag), own.tag ?? '', global.image.tag);
  const version = choose(isSet(own.digest), text('@', own.digest ?? ''), text(':', tag));
  return text(global.image.registry, '/', own.repository, version);
}

function placement({ service, values }: ServiceContext): Partial<k8s.PodSpec> {
  const card = service.zone === 'card';
  return {
    nodeSelector: card ? mergedUnder(CARD_NODES.label, values.nodeSelector) : values.nodeSelector,
    tolerations: card
      ? appended<k8s.Toleration>([CARD_NODES.toleration], values.tolerations)
      : (values.tolerations as k8s.Toleration[]),
    ...(scales(service) || !isStateful(service) ? { topologySpreadConstraints: spread({ service, values }) } : {}),
  };
}

/**
 * One zone's end must not be the service's: where there are several zones, no pod starts that would make them uneven. Nodes are only asked to.
 * Each version is spread for itself, or a rolling update would count the pods that are about to go. Nodes whose taints the pods do
 * not bear do not count, or their zones would be waited for.
 */
function spread({ service, values }: Pick<ServiceContext, 'service' | 'values'>): k8s.TopologySpreadConstraint[] {
  const each = {
    maxSkew: 1,
    labelSelector: { matchLabels: selector(service) },
    matchLabelKeys: ['pod-template-hash'],
    nodeTaintsPolicy: 'Honor',
  };
  return [
    {
      ...each,
      topologyKey: 'topology.kubernetes.io/zone',
      whenUnsatisfiable: choose(values.global.cluster.zones, 'DoNotSchedule', 'ScheduleAnyway'),
    },
    { ...each, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
  ];
}
