import { queueUrl } from '../aws/names.ts';
import { isFed } from '../aws/permissions.ts';
import { choose, equals, not, text } from '../holes/index.ts';
import { scales } from '../model/derive.ts';
import type { Queue } from '../model/types.ts';
import { metadata, overBus, type ServiceContext } from './context.ts';
import { k8s, kube } from './kube.ts';
import type { Scope } from './scope.ts';

/**
 * Out at once, doubling each 15 s; in slowly, a tenth a minute, by the most that was wanted lately (five minutes, unless values say otherwise): a lull must
 * not cost the next rush its pods.
 */
const behaviour = ({ values }: ServiceContext) => ({
  scaleUp: {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Percent', value: 100, periodSeconds: 15 },
      { type: 'Pods', value: 4, periodSeconds: 15 },
    ],
  },
  scaleDown: {
    stabilizationWindowSeconds: values.autoscaling.scaleInAfterSeconds,
    selectPolicy: 'Max',
    policies: [
      { type: 'Percent', value: 10, periodSeconds: 60 },
      { type: 'Pods', value: 1, periodSeconds: 60 },
    ],
  },
});

/** One scaler for a service that several pods can work for: an HPA, or KEDA's ScaledObject, which makes an HPA itself and refuses a second one. */
export function autoscaler(scope: Scope, ctx: ServiceContext): void {
  const { service, values } = ctx;
  if (!scales(service)) return;
  const keda = equals(values.global.autoscaler, 'keda');
  scope.when(not(keda), (inner) => horizontal(inner, ctx));
  scope.when(keda, (inner) => {
    const queue = service.queues?.find(({ name }) => name === service.scale.queue?.name);
    if (queue === undefined) return scaledObject(inner, ctx, []);
    // Without the bus nothing comes to it: an empty queue would say that nothing is to be done.
    const { aws } = values.global;
    const filled = isFed(service, queue.name) ? overBus(values.global) : aws.enabled;
    inner.when(not(filled), (without) => scaledObject(without, ctx, []));
    inner.when(filled, (withQueue) => {
      authentication(withQueue, ctx);
      scaledObject(withQueue, ctx, [queueTrigger(ctx, queue)]);
    });
  });
}

const target = ({ service }: ServiceContext) => ({ apiVersion: 'apps/v1', kind: 'Deployment', name: service.name });

function horizontal(scope: Scope, ctx: ServiceContext): void {
  const { min, max, cpuPercent, memoryPercent } = ctx.values.autoscaling;
  const resource = (name: string, averageUtilization: number) => ({
    type: 'Resource',
    resource: { name, target: { type: 'Utilization', averageUtilization } },
  });
  kube(scope, k8s.KubeHorizontalPodAutoscalerV2, {
    metadata: metadata(ctx),
    spec: {
      scaleTargetRef: target(ctx),
      minReplicas: min,
      maxReplicas: max,
      metrics: [resource('cpu', cpuPercent), resource('memory', memoryPercent)],
      behavior: behaviour(ctx),
    },
  });
}

type Trigger = Readonly<Record<string, unknown>>;

function scaledObject(scope: Scope, ctx: ServiceContext, queues: readonly Trigger[]): void {
  const { min, max, cpuPercent, memoryPercent } = ctx.values.autoscaling;
  const resource = (type: string, percent: number): Trigger => ({
    type,
    metricType: 'Utilization',
    metadata: { value: text(percent) },
  });
  scope.add({
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: metadata(ctx),
    spec: {
      scaleTargetRef: target(ctx),
      minReplicaCount: min,
      maxReplicaCount: max,
      pollingInterval: 15,
      advanced: { horizontalPodAutoscalerConfig: { name: ctx.service.name, behavior: behaviour(ctx) } },
      triggers: [resource('cpu', cpuPercent), resource('memory', memoryPercent), ...queues],
    },
  });
}

/** Messages of the service's own queue, waiting and in flight, for each pod. */
function queueTrigger({ service, values }: ServiceContext, queue: Queue): Trigger {
  return {
    type: 'aws-sqs-queue',
    authenticationRef: { name: service.name },
    metadata: {
      queueURL: queueUrl(values.global, queue.name),
      queueLength: text(values.autoscaling.messagesPerPod),
      awsRegion: values.global.aws.region,
    },
  };
}

/** As whom KEDA asks for the queue's length: under IRSA as the service, which has the role in its annotation; else as itself. */
function authentication(scope: Scope, ctx: ServiceContext): void {
  const irsa = equals(ctx.values.global.aws.identity, 'irsa');
  scope.add({
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'TriggerAuthentication',
    metadata: metadata(ctx),
    spec: { podIdentity: { provider: 'aws', identityOwner: choose(irsa, 'workload', 'keda') } },
  });
}
