import { API_VERSION } from '@mercato/operator/api/kind.ts';
import { pciBoundary } from '@mercato/operator/api/pciboundary.ts';
import { PROBE_OF } from '../labels.ts';
import type { RequestRule, Rule } from './policy.ts';

/** All that makes pods. */
const workloads: readonly RequestRule[] = [
  {
    apiGroups: [''],
    apiVersions: ['v1'],
    operations: ['CREATE', 'UPDATE'],
    resources: ['pods', 'replicationcontrollers'],
  },
  {
    apiGroups: ['apps'],
    apiVersions: ['v1'],
    operations: ['CREATE', 'UPDATE'],
    resources: ['deployments', 'statefulsets', 'daemonsets', 'replicasets'],
  },
  { apiGroups: ['batch'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['jobs', 'cronjobs'] },
];

/** The labels of the pods that an object is or makes. */
const podLabels = (which: 'object' | 'oldObject'): string =>
  `(${which} == null ? {} : request.resource.resource == 'pods' ? ${which}.metadata.?labels.orValue({}) :
    request.resource.resource == 'cronjobs' ? ${which}.spec.jobTemplate.spec.template.?metadata.?labels.orValue({}) :
    ${which}.spec.?template.?metadata.?labels.orValue({}))`;

/** Kubernetes' own controllers, which make what their owners say, and whose owners were looked at. */
const CONTROLLERS = `['system:kube-controller-manager', ${[
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
  'daemon-set-controller',
  'job-controller',
  'cronjob-controller',
  'replication-controller',
]
  .map((name) => `'system:serviceaccount:kube-system:${name}'`)
  .join(', ')}]`;

/**
 * A NetworkPolicy knows a caller by namespace and labels, and whoever writes pods writes labels. So pods with a declared caller's labels are made by
 * whoever administers the boundary, and by its controller for probes. Who changes a caller's workload without touching its labels is not asked.
 */
export const callers: Rule = {
  name: 'card-callers',
  where: 'everywhere',
  params: { apiVersion: API_VERSION, kind: pciBoundary.kind },
  requests: workloads,
  variables: {
    labels: podLabels('object'),
    before: podLabels('oldObject'),
    claimed: `params.spec.?ingress.orValue([]).filter(way, way.from.namespace == request.namespace &&
      way.from.podLabels.all(key, key in variables.labels && variables.labels[key] == way.from.podLabels[key]))`,
  },
  validations: [
    {
      expression: `variables.claimed.all(way,
          way.from.podLabels.all(key, key in variables.before && variables.before[key] == way.from.podLabels[key])) ||
        request.userInfo.username in ${CONTROLLERS} ||
        request.resource.resource == 'jobs' && '${PROBE_OF}' in variables.labels && variables.enforces`,
      message:
        'pods with these labels may call a card namespace (spec.ingress of a PciBoundary): use other labels, or have a holder of the verb administer on pciboundaries make the workload',
    },
  ],
};

/**
 * Probes are pods with a caller's labels, and their findings are not counted, so nobody else's pods may pass for one. And whoever holds no more than the
 * controller's verb starts no other Jobs: none with a token, a secret or a volume of the namespace that it starts them in.
 */
export const probes: Rule = {
  name: 'card-probes',
  where: 'everywhere',
  requests: workloads,
  variables: {
    labels: podLabels('object'),
    before: podLabels('oldObject'),
    becomes: `'${PROBE_OF}' in variables.labels && !('${PROBE_OF}' in variables.before)`,
    isNewJob: "request.resource.resource == 'jobs' && request.operation == 'CREATE'",
    pod: 'object.spec.template.spec',
  },
  validations: [
    {
      expression: `!variables.becomes || request.userInfo.username in ${CONTROLLERS} || variables.isNewJob && variables.enforces`,
      message: `the label ${PROBE_OF} is for the probes of the boundary's controller: remove it`,
    },
    {
      expression: `!variables.isNewJob || '${PROBE_OF}' in variables.labels || !variables.enforces`,
      message: `whoever holds the verb enforce on pciboundaries starts probes only: use the label ${PROBE_OF}, or another account`,
    },
    {
      expression: `!variables.isNewJob || !variables.enforces ||
        variables.pod.?automountServiceAccountToken.orValue(true) == false &&
        size(variables.pod.?volumes.orValue([])) == 0 &&
        size(variables.pod.?initContainers.orValue([])) == 0 &&
        variables.pod.containers.all(c, size(c.?envFrom.orValue([])) == 0 && c.?env.orValue([]).all(e, !has(e.valueFrom)))`,
      message:
        'a probe has no service account token, no volume, no init container and no value from a secret or config map: remove them',
    },
  ],
};
