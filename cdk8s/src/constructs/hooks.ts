import { ApiObject } from 'cdk8s';
import type { ServiceValues } from '../charts/service-values.ts';
import { type ServiceContext, selector } from './context.ts';
import { k8s, kube } from './kube.ts';
import { networkPolicies } from './networkpolicy.ts';
import { podTemplate } from './pod.ts';
import type { Scope } from './scope.ts';
import { serviceAccount } from './serviceaccount.ts';

/** What a hook's pod gets: it makes a few requests. */
const RESOURCES = {
  requests: { cpu: k8s.Quantity.fromString('50m'), memory: k8s.Quantity.fromString('128Mi') },
  limits: { memory: k8s.Quantity.fromString('256Mi') },
};

/** When in a release's end something is done. In one release, hooks of all its charts run in this order. */
export const WEIGHTS = { drain: 0, boundary: 20 } as const;

/**
 * Runs a program to its end before the release is deleted, and keeps the release if it fails. Its account, rights and policies are hooks too, made
 * before it and taken away after it, whether it succeeds or not: there is no account with such rights at other times.
 *
 * @param weight when, after the hooks of lower weights
 * @param rights adds what the program's account may do
 */
export function beforeDelete(scope: Scope, ctx: ServiceContext, weight: number, rights: (scope: Scope) => void): void {
  annotating(scope, weight - 10, () => {
    serviceAccount(scope, ctx);
    networkPolicies(scope, { ...ctx, values: unseen(ctx.values) });
    rights(scope);
  });
  annotating(scope, weight, () => job(scope, ctx));
}

/** Nobody calls a hook, and it has no metrics. */
function unseen(values: ServiceValues): ServiceValues {
  const monitoring = { ...values.global.monitoring, enabled: false };
  return { ...values, callers: [], global: { ...values.global, monitoring } };
}

function job(scope: Scope, ctx: ServiceContext): void {
  const { metadata, spec } = podTemplate(ctx);
  const { topologySpreadConstraints: _, containers = [], ...pod } = spec ?? { containers: [] };
  kube(scope, k8s.KubeJob, {
    metadata: {
      name: ctx.service.name,
      namespace: ctx.values.global.namespaces[ctx.service.zone],
      labels: selector(ctx.service),
    },
    spec: {
      // Another attempt is another uninstall: somebody should read why the first failed.
      backoffLimit: 0,
      template: {
        ...(metadata && { metadata }),
        spec: {
          ...pod,
          restartPolicy: 'Never',
          containers: containers.map(
            ({ livenessProbe: _live, readinessProbe: _ready, startupProbe: _start, ports: _ports, ...container }) => ({
              ...container,
              resources: RESOURCES,
              // What it says last is what `helm uninstall` shows.
              terminationMessagePolicy: 'FallbackToLogsOnError',
            }),
          ),
        },
      },
    },
  });
}

/** Makes hooks of all objects that `body` adds. */
function annotating(scope: Scope, weight: number, body: () => void): void {
  const before = new Set(scope.chart.node.children);
  body();
  for (const child of scope.chart.node.children) {
    if (before.has(child) || !ApiObject.isApiObject(child)) continue;
    child.metadata.addAnnotation('helm.sh/hook', 'pre-delete');
    child.metadata.addAnnotation('helm.sh/hook-weight', String(weight));
    child.metadata.addAnnotation('helm.sh/hook-delete-policy', 'before-hook-creation,hook-succeeded');
  }
}
