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
    // A write to a pod's status writes its labels too.
    resources: ['pods', 'pods/status', 'replicationcontrollers'],
  },
  {
    apiGroups: ['apps'],
    apiVersions: ['v1'],
    operations: ['CREATE', 'UPDATE'],
    // StatefulSets and DaemonSets make pods of their revisions, too.
    resources: ['deployments', 'statefulsets', 'daemonsets', 'replicasets', 'controllerrevisions'],
  },
  { apiGroups: ['batch'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['jobs', 'cronjobs'] },
];

/** The labels of the pods that an object is or makes. */
const podLabels = (which: 'object' | 'oldObject'): string =>
  `(${which} == null ? {} : request.resource.resource == 'pods' ? ${which}.metadata.?labels.orValue({}) :
    request.resource.resource == 'controllerrevisions' ? ${which}.?data.?spec.?template.?metadata.?labels.orValue({}) :
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
 * whoever administers the boundary, and by its controller for probes; so are pods that card pods may call (but for the cluster's DNS, whose makers have
 * the cluster). Who changes a caller's workload without touching its labels is not asked.
 */
export const callers: Rule = {
  name: 'card-callers',
  where: 'everywhere',
  params: { apiVersion: API_VERSION, kind: pciBoundary.kind },
  requests: workloads,
  variables: {
    labels: podLabels('object'),
    before: podLabels('oldObject'),
    peers: `params.spec.?ingress.orValue([]).map(way, way.from) +
      params.spec.?egress.orValue([]).filter(way, has(way.to.pods) && !(way.to.pods.namespace in params.spec.namespaces)).map(way, way.to.pods)`,
    claimed: `variables.peers.filter(peer, peer.namespace == request.namespace &&
      peer.podLabels.all(key, key in variables.labels && variables.labels[key] == peer.podLabels[key]))`,
  },
  validations: [
    {
      expression: `variables.claimed.all(peer,
          peer.podLabels.all(key, key in variables.before && variables.before[key] == peer.podLabels[key])) ||
        request.userInfo.username in ${CONTROLLERS} ||
        request.resource.resource == 'jobs' && '${PROBE_OF}' in variables.labels && variables.enforces`,
      message:
        'pods with these labels may call a card namespace, or be called from one (spec.ingress and spec.egress of a PciBoundary): use other labels, or have a holder of the verb administer on pciboundaries make the workload',
    },
  ],
};

/** Whether a probe's pod, and each of its containers, stays within Pod Security "restricted": namespaces that enforce less are probed from, too. */
const HARMLESS = `!variables.pod.?hostNetwork.orValue(false) && !variables.pod.?hostPID.orValue(false) && !variables.pod.?hostIPC.orValue(false) &&
  variables.pod.?nodeName.orValue('') == '' &&
  variables.pod.containers.all(c, !c.?securityContext.?privileged.orValue(false) &&
    !c.?securityContext.?allowPrivilegeEscalation.orValue(true) && c.?securityContext.?runAsNonRoot.orValue(variables.pod.?securityContext.?runAsNonRoot.orValue(false)) &&
    size(c.?securityContext.?capabilities.?add.orValue([])) == 0 && c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))`;

/**
 * Probes are pods with a caller's labels, and their findings are not counted, so nobody else's pods may pass for one, and nobody but who runs pods writes
 * what they report. And whoever holds no more than the controller's verb starts no other Jobs: none with a token, a secret or a volume of the namespace that
 * it starts them in, none on its node's own network, and none as another account than `default`, since roles in AWS go by account.
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
    isStatus: "request.resource.resource == 'pods' && request.subResource == 'status'",
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
    {
      expression: `!variables.isNewJob || !variables.enforces || variables.pod.?serviceAccountName.orValue('') in ['', 'default']`,
      message:
        'a probe runs as the service account default, whose name gives it no role in AWS: remove serviceAccountName',
    },
    {
      expression: `!variables.isNewJob || !variables.enforces || ${HARMLESS}`,
      message:
        'a probe keeps off its node: it is neither privileged nor root, has no capability, and uses no network, process, memory or port of the node, nor names it',
    },
    {
      // Kubelets, the scheduler and Kubernetes' own controllers have this right in every namespace, whoever works in one has not.
      expression: `!variables.isStatus || !('${PROBE_OF}' in variables.before) || object.status == oldObject.status ||
        authorizer.group('').resource('pods').subresource('status').check('patch').allowed()`,
      message: 'what a probe reports is written by its kubelet: leave the status of its pod alone',
    },
  ],
};

/** Whoever holds no more than the controller's verb removes no Jobs but probes. */
export const probeRemovals: Rule = {
  name: 'card-probe-removals',
  where: 'everywhere',
  requests: [{ apiGroups: ['batch'], apiVersions: ['v1'], operations: ['DELETE'], resources: ['jobs'] }],
  validations: [
    {
      expression: `'${PROBE_OF}' in oldObject.metadata.?labels.orValue({}) || !variables.enforces`,
      message: `whoever holds the verb enforce on pciboundaries removes probes only, which have the label ${PROBE_OF}: use another account`,
    },
  ],
};
