import type { KubeObject, ObjectMeta } from '@mercato/operator/kube/types.ts';
import { OURS } from '../findings/admission.ts';
import type {
  Container,
  ObservedAdmission,
  ObservedNode,
  ObservedRoleBinding,
  ObservedService,
  Toleration,
} from '../findings/types.ts';
import { CARD_TAINT, PROBE_OF } from '../labels.ts';
import type { NetworkPolicy } from '../policy/types.ts';
import type { SeenPod } from './resources.ts';

/**
 * What the caches keep of an object: what rules, probes and the matrix read. The controller sees every pod of the cluster and has 150 MB; a whole
 * pod is 3 to 10 KB, what is kept of it about one. (Metadata alone would not do: tolerations and ports are in the spec.)
 */

function metadata({ name, namespace, uid, resourceVersion, labels, deletionTimestamp, ownerReferences }: ObjectMeta) {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(labels === undefined ? {} : { labels }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    ...(ownerReferences === undefined ? {} : { ownerReferences }),
  };
}

/** Name, labels and owners: for kinds of which no field is read. */
export function bare<T extends KubeObject>(object: T): T {
  return { metadata: metadata(object.metadata) } as T;
}

/** A policy as it is, without what people noted on it. */
export function seenPolicy({ metadata: meta, spec }: NetworkPolicy): NetworkPolicy {
  return { metadata: metadata(meta), ...(spec === undefined ? {} : { spec }) };
}

/** An admission policy of ours as it is; of others, that it is there. */
export function seenAdmission({ metadata: meta, spec }: ObservedAdmission): ObservedAdmission {
  return { metadata: metadata(meta), ...(spec === undefined || !meta.name.endsWith(OURS) ? {} : { spec }) };
}

export function seenNode({ metadata: meta, spec }: ObservedNode): ObservedNode {
  return { metadata: metadata(meta), ...(spec?.taints === undefined ? {} : { spec: { taints: spec.taints } }) };
}

export function seenService({ metadata: meta, spec }: ObservedService): ObservedService {
  const { type, externalIPs } = spec ?? {};
  return {
    metadata: metadata(meta),
    spec: { ...(type === undefined ? {} : { type }), ...(externalIPs === undefined ? {} : { externalIPs }) },
  };
}

export function seenRoleBinding({ metadata: meta, roleRef, subjects }: ObservedRoleBinding): ObservedRoleBinding {
  return {
    metadata: metadata(meta),
    ...(roleRef === undefined ? {} : { roleRef: { kind: roleRef.kind, name: roleRef.name } }),
    ...(subjects === undefined
      ? {}
      : {
          subjects: subjects.map(({ kind, name, namespace }) => ({
            kind,
            name,
            ...(namespace === undefined ? {} : { namespace }),
          })),
        }),
  };
}

export function seenPod(pod: SeenPod): SeenPod {
  const { spec = {}, status = {} } = pod;
  const kept: Record<string, unknown> = {};
  for (const field of ['nodeName', 'serviceAccountName', 'automountServiceAccountToken'] as const)
    if (spec[field] !== undefined) kept[field] = spec[field];
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const) if (spec[field] === true) kept[field] = true;
  for (const field of ['containers', 'initContainers', 'ephemeralContainers'] as const)
    if (spec[field] !== undefined) kept[field] = spec[field].map(seenContainer);
  const tolerations = spec.tolerations?.filter(mayFitCardTaint) ?? [];
  if (tolerations.length > 0) kept['tolerations'] = tolerations;
  return { metadata: metadata(pod.metadata), spec: kept, status: seenStatus(status, PROBE_OF in labelsOf(pod)) };
}

function seenStatus(status: NonNullable<SeenPod['status']>, isProbe: boolean): NonNullable<SeenPod['status']> {
  const { phase, podIP, podIPs, conditions, containerStatuses, message } = status;
  const wanted = conditions?.filter(({ type }) => type === 'Ready' || (isProbe && type === 'PodScheduled'));
  return {
    ...(phase === undefined ? {} : { phase }),
    ...(podIP === undefined ? {} : { podIP }),
    ...(podIPs === undefined ? {} : { podIPs: podIPs.map(({ ip }) => ({ ip })) }),
    ...(wanted === undefined
      ? {}
      : {
          conditions: wanted.map((condition) => ({
            type: condition.type,
            status: condition.status,
            ...(isProbe && condition.message !== undefined ? { message: condition.message } : {}),
          })),
        }),
    ...(isProbe && containerStatuses !== undefined ? { containerStatuses } : {}),
    ...(isProbe && message !== undefined ? { message } : {}),
  };
}

function seenContainer({ name, image, ports }: Container): Container {
  return {
    name,
    ...(image === undefined ? {} : { image }),
    ...(ports === undefined
      ? {}
      : {
          ports: ports.map((port) => ({
            containerPort: port.containerPort,
            ...(port.name === undefined ? {} : { name: port.name }),
            ...(port.hostPort === undefined ? {} : { hostPort: port.hostPort }),
            ...(port.protocol === undefined ? {} : { protocol: port.protocol }),
          })),
        }),
  };
}

/** Every pod tolerates some taints of its own node; only those that may fit the card taint are of interest. */
function mayFitCardTaint({ key }: Toleration): boolean {
  return key === undefined || key === '' || key === CARD_TAINT.key;
}

function labelsOf(pod: KubeObject): Readonly<Record<string, string>> {
  return pod.metadata.labels ?? {};
}
