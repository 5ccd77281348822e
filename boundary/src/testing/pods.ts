import { resource } from '@mercato/operator/kube/resource.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import type { Container } from '../findings/types.ts';
import { type Job, jobs, pods, type SeenPod } from '../kube/resources.ts';
import { PROBE_OF } from '../labels.ts';
import { formatReport, type ProbeTask, type ProbeWay, TASK_VARIABLE, type WayReport } from '../probe/way.ts';
import type { BoundaryCluster } from './cluster.ts';

/** What no kubelet and no Job controller does here: pods that run, and probes that end. */

/** What becomes of a way in a test; `at first` is open for a pod's first second. */
export type Fate = 'open' | 'closed' | 'at first';

const serviceAccounts = resource<KubeObject>({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
});
const SECURITY = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};
let addresses = 0;

/** A pod of a service that is ready, as the kubelet would say. Answers its address. */
export async function targetPod(cluster: BoundaryCluster, namespace: string, app: string): Promise<string> {
  await account(cluster, namespace);
  const name = `${app}-0`;
  const ip = `10.244.0.${++addresses}`;
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: app, uid: '00000000-0000-4000-8000-000000000001' };
  await cluster.client.create(pods, {
    metadata: { namespace, name, labels: { 'app.kubernetes.io/name': app }, ownerReferences: [owner] },
    spec: {
      serviceAccountName: 'default',
      containers: [
        { name: app, image: `${app}:1`, ports: [{ containerPort: 8080 }], securityContext: SECURITY } as Container,
      ],
    },
  });
  await cluster.client.patchStatus<SeenPod>(pods, { namespace, name }, {
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  } as object);
  return ip;
}

/** The boundary's Jobs that wait for a pod. */
export async function waitingJobs(cluster: BoundaryCluster): Promise<Job[]> {
  const { items } = await cluster.client.list(jobs, { labelSelector: `${PROBE_OF}=${cluster.name}` });
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/**
 * Waits until all Jobs of a round are made, and answers them.
 * @param count one for each pod that is to try ways: in either namespace a declared caller, whose callee is ready, and a stranger
 */
export async function jobsOfRound(cluster: BoundaryCluster, count = 4): Promise<Job[]> {
  let found: Job[] = [];
  await cluster.eventually(`all ${count} Jobs of a round are made`, async () => {
    found = await waitingJobs(cluster);
    return found.length === count;
  });
  return found;
}

/** Plays kubelet and Job controller for one round: makes the pods of its Jobs, and ends them with a report of each way's fate. */
export async function runPods(
  cluster: BoundaryCluster,
  fate: (way: ProbeWay, job: Job) => Fate,
  count?: number,
): Promise<Job[]> {
  const found = await jobsOfRound(cluster, count);
  for (const job of found) {
    const task = taskOf(job);
    const message = formatReport(task.ways.map((way) => reportOf(way, fate(way, job))));
    await endedPod(cluster, job, { terminated: { exitCode: 0, message } });
  }
  return found;
}

/** What a Job's probe is asked to do. */
export function taskOf(job: Job): ProbeTask {
  const { template } = job.spec as { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
  const task = template.spec.containers[0]?.env.find(({ name }) => name === TASK_VARIABLE);
  return JSON.parse(task?.value ?? '') as ProbeTask;
}

/** Makes a Job's pod as its controller would, and gives it a container state as the kubelet would. */
export async function endedPod(
  cluster: BoundaryCluster,
  job: Job,
  state: object,
  phase = 'Succeeded',
  suffix = 'x',
): Promise<void> {
  const { template } = job.spec as { template: { metadata: { labels: object }; spec: object } };
  const { namespace = '', name, uid = '' } = job.metadata;
  await account(cluster, namespace);
  await cluster.client.create(pods, {
    metadata: {
      namespace,
      name: `${name}-${suffix}`,
      labels: { ...template.metadata.labels, 'batch.kubernetes.io/job-name': name },
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true }],
    },
    spec: template.spec as NonNullable<SeenPod['spec']>,
  });
  await cluster.client.patchStatus<SeenPod>(pods, { namespace, name: `${name}-${suffix}` }, {
    status: {
      phase,
      containerStatuses: [{ name: 'probe', image: 'x', imageID: 'x', ready: false, restartCount: 0, state }],
    },
  } as object);
}

function reportOf({ id }: ProbeWay, fate: Fate): WayReport {
  const none = { id, opened: 0, refused: 0, unreachable: 0, timedOut: 0, lastOpenedMs: -1, lastMs: 5_800 };
  if (fate === 'open') return { ...none, opened: 20, lastOpenedMs: 5_800 };
  return fate === 'closed' ? { ...none, timedOut: 5 } : { ...none, opened: 3, timedOut: 4, lastOpenedMs: 700 };
}

/** Pods need their service account, which no controller makes here. */
async function account(cluster: BoundaryCluster, namespace: string): Promise<void> {
  await cluster.client.apply(serviceAccounts, { namespace, name: 'default' }, {});
}
