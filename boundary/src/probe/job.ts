import { createHash } from 'node:crypto';
import type { PciBoundary } from '@mercato/operator/api/pciboundary.ts';
import type { Job } from '../kube/resources.ts';
import { CARD_DATA, CARD_TAINT, PROBE_OF, YES } from '../labels.ts';
import type { PlannedProbe } from './plan.ts';
import { type ProbeTask, TASK_VARIABLE } from './way.ts';

/** How long each way is tried, in milliseconds: longer than any known network plugin takes to begin to enforce. */
const LASTS_MILLIS = 6_000;
const ATTEMPT_MILLIS = 1_000;
/** A probe that has not ended by then, image pull included, has failed, in seconds. */
export const DEADLINE_SECONDS = 90;
/** Should the controller not remove it, the cluster does after this long. */
const TTL_SECONDS = 300;
/** No one ever sets this condition, so the pod is never ready, and no Service with the same labels sends it requests. */
const NEVER_READY = 'mercato.dev/takes-no-requests';

/** What a Job needs to know besides its probe. */
export interface JobSettings {
  /** Which round, and which probe of it. */
  readonly round: string;
  readonly index: number;
  readonly image: string;
  /** Whether nodes carry the label of card nodes, so that the probe of a card namespace must run on one. */
  readonly cardNodes: boolean;
}

/** A round's name: short, and another each time. */
export function roundName(uid: string, at: number): string {
  return createHash('sha256').update(`${uid} ${at}`).digest('hex').slice(0, 8);
}

/**
 * The Job of a probe. Its pod has no token, no volume and no rights, fits Pod Security "restricted" and a quota with requests and limits, and reports
 * through its termination message. It carries its caller's labels, since it is those that policies know, and takes no requests all the same.
 */
export function jobOf(boundary: PciBoundary, probe: PlannedProbe, settings: JobSettings): Job {
  const { name, uid = '' } = boundary.metadata;
  const { round, index, image, cardNodes } = settings;
  const task: ProbeTask = {
    ways: probe.ways.map(({ host, port, protocol }, id) => ({ id: String(id), host, port, protocol })),
    lastsMs: LASTS_MILLIS,
    timeoutMs: ATTEMPT_MILLIS,
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${name}-probe-${round}-${index}`,
      namespace: probe.namespace,
      labels: { 'app.kubernetes.io/part-of': 'mercato', [PROBE_OF]: name },
      ownerReferences: [{ apiVersion: boundary.apiVersion, kind: boundary.kind, name, uid }],
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      ttlSecondsAfterFinished: TTL_SECONDS,
      template: {
        // No label but these: a boundary may know pods by any other.
        metadata: { labels: { ...probe.labels, [PROBE_OF]: name } },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 1,
          readinessGates: [{ conditionType: NEVER_READY }],
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65_532,
            runAsGroup: 65_532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          ...(probe.card && {
            tolerations: [{ ...CARD_TAINT, operator: 'Equal' }],
            ...(cardNodes && { nodeSelector: { [CARD_DATA]: YES } }),
          }),
          containers: [
            {
              name: 'probe',
              image,
              imagePullPolicy: 'IfNotPresent',
              workingDir: '/app',
              args: ['boundary/src/probe/main.ts'],
              env: [{ name: TASK_VARIABLE, value: JSON.stringify(task) }],
              resources: {
                requests: { cpu: '10m', memory: '64Mi' },
                limits: { cpu: '500m', memory: '128Mi' },
              },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
            },
          ],
        },
      },
    },
  } as Job;
}
