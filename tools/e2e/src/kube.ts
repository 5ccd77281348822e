import { resource } from '@mercato/operator/kube/resource.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';

/** As far as the tests read it. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface ContainerStatus {
  readonly name: string;
  readonly restartCount: number;
  readonly state?: {
    readonly running?: { readonly startedAt: string };
    readonly waiting?: { readonly reason: string; readonly message?: string };
    readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
  };
}

export interface Pod extends KubeObject {
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { readonly name: string }[] };
  readonly status?: {
    readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface Node extends KubeObject {
  readonly spec: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly effect: string }[];
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface PersistentVolume extends KubeObject {
  readonly spec: { readonly claimRef?: { readonly namespace: string; readonly name: string; readonly uid?: string } };
}

export interface PersistentVolumeClaim extends KubeObject {
  readonly spec: {
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly volumeMode?: string;
    readonly accessModes?: readonly string[];
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
  readonly status?: { readonly phase?: string };
}

export interface Job extends KubeObject {
  readonly status?: { readonly ready?: number; readonly succeeded?: number; readonly failed?: number };
}

const core = (kind: string, plural: string, namespaced: boolean) => ({
  group: '',
  version: 'v1',
  kind,
  plural,
  namespaced,
});

export const pods = resource<Pod>(core('Pod', 'pods', true));
export const nodes = resource<Node>(core('Node', 'nodes', false));
export const volumes = resource<PersistentVolume>(core('PersistentVolume', 'persistentvolumes', false));
export const claims = resource<PersistentVolumeClaim>(core('PersistentVolumeClaim', 'persistentvolumeclaims', true));
export const storageClasses = resource<KubeObject>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  namespaced: false,
});
export const jobs = resource<Job>({ group: 'batch', version: 'v1', kind: 'Job', plural: 'jobs', namespaced: true });

/** Whether a condition of an object is True. */
export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return conditions?.some((each) => each.type === type && each.status === 'True') ?? false;
}

/** Why a pod is not what it should be, for people. Pure. */
export function troubleOf({ metadata, status }: Pod): string {
  const waits = (status?.containerStatuses ?? []).flatMap(({ name, state }) => {
    const { waiting, terminated } = state ?? {};
    if (waiting) return [`${name} waits: ${waiting.reason} ${waiting.message ?? ''}`];
    return terminated ? [`${name} ended with ${terminated.exitCode}: ${terminated.message ?? terminated.reason}`] : [];
  });
  const scheduled = status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  const why = [...waits, ...(scheduled ? [`not scheduled: ${scheduled.message}`] : [])].join('; ');
  return `${metadata.namespace}/${metadata.name} is ${status?.phase ?? 'unknown'}${why === '' ? '' : ` (${why})`}`;
}

/** What "restricted" of Pod Security asks for, and the user of our images. */
export const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: 65_532,
  runAsGroup: 65_532,
  fsGroup: 65_532,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const;

/** Labels of a namespace whose pods must keep to a Pod Security level. */
export function podSecurity(level: 'restricted' | 'privileged'): Record<string, string> {
  return { 'pod-security.kubernetes.io/enforce': level, 'app.kubernetes.io/part-of': 'mercato' };
}

/**
 * From the start of a pod's first container to the pod's Ready condition, in milliseconds. Kubernetes keeps both to the second. Pure.
 *
 * @throws Error for a pod that is not Ready
 */
export function readyAfterMs({ metadata, status }: Pod): number {
  const starts = (status?.containerStatuses ?? []).flatMap(({ state }) => state?.running?.startedAt ?? []);
  const ready = status?.conditions?.find(({ type, status }) => type === 'Ready' && status === 'True');
  const [first] = starts.map((text) => Date.parse(text)).sort((a, b) => a - b);
  if (first === undefined || ready?.lastTransitionTime === undefined)
    throw new Error(`${metadata.namespace}/${metadata.name} is not Ready`);
  return Date.parse(ready.lastTransitionTime) - first;
}
