import { isStateful, scales } from '../model/derive.ts';
import { metadata, type ServiceContext, selector } from './context.ts';
import { k8s, kube } from './kube.ts';
import { NEWER_IN_TEMPLATE, podTemplate } from './pod.ts';
import type { Scope } from './scope.ts';

/** Earlier versions that can be gone back to. */
const REVISIONS = 5;

/** What runs a service's program: a Deployment, or a StatefulSet of one pod where its store is embedded. */
export function workload(scope: Scope, ctx: ServiceContext): void {
  if (isStateful(ctx.service)) statefulSet(scope, ctx);
  else deployment(scope, ctx);
}

/** A Deployment that never has fewer ready pods than it wants. Under an autoscaler it does not say how many: whoever applies it would undo the scaling. */
function deployment(scope: Scope, ctx: ServiceContext): void {
  const { service, values } = ctx;
  kube(
    scope,
    k8s.KubeDeployment,
    {
      metadata: metadata(ctx),
      spec: {
        ...(!scales(service) && { replicas: values.replicas }),
        revisionHistoryLimit: REVISIONS,
        progressDeadlineSeconds: 300,
        selector: { matchLabels: selector(service) },
        strategy: {
          type: 'RollingUpdate',
          rollingUpdate: {
            maxSurge: k8s.IntOrString.fromString('25%'),
            maxUnavailable: k8s.IntOrString.fromNumber(0),
          },
        },
        template: podTemplate(ctx),
      },
    },
    { spec: { template: NEWER_IN_TEMPLATE } },
  );
}

/**
 * One pod with a volume that follows it. Two pods would be two shops, so there is neither an autoscaler nor a value for more. The claim stays when the
 * StatefulSet goes: an uninstall is no reason to lose the books.
 */
function statefulSet(scope: Scope, ctx: ServiceContext): void {
  const { service, values } = ctx;
  const { name, labels } = metadata(ctx);
  kube(
    scope,
    k8s.KubeStatefulSet,
    {
      metadata: metadata(ctx),
      spec: {
        replicas: 1,
        revisionHistoryLimit: REVISIONS,
        serviceName: name,
        // With OrderedReady a pod that cannot start waits for itself to be ready: even the template that mends it is not rolled out
        // (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback).
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: selector(service) },
        updateStrategy: { type: 'RollingUpdate' },
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
        template: podTemplate(ctx),
        volumeClaimTemplates: [
          {
            metadata: { name: 'data', labels },
            spec: {
              accessModes: [values.persistence.accessMode],
              storageClassName: values.persistence.storageClass as string,
              resources: { requests: { storage: k8s.Quantity.fromString(values.persistence.size) } },
            },
          },
        ],
      },
    },
    { spec: { template: NEWER_IN_TEMPLATE } },
  );
}
