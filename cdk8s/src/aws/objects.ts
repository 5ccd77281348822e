import type { GlobalValues } from '../charts/global.ts';
import type { Manifest, Scope } from '../constructs/scope.ts';
import { ENVIRONMENT_TAG } from './controllers.ts';
import { type Json, policyJson } from './policy-json.ts';
import { SYNC_WAVE } from './waves.ts';

/** Kinds that hold data, or whose loss takes data along: a table without its key, a bus without its archive, a topic without its subscribers. */
export const HOLDS_DATA: ReadonlySet<string> = new Set(['Archive', 'EventBus', 'Key', 'Queue', 'Table', 'Topic']);

/** Kinds that are made again from Git as they were. */
export const HOLDS_NOTHING: ReadonlySet<string> = new Set(['Alias', 'PodIdentityAssociation', 'Role', 'Rule']);

const API_VERSIONS = {
  Archive: 'eventbridge.services.k8s.aws/v1alpha1',
  EventBus: 'eventbridge.services.k8s.aws/v1alpha1',
  Rule: 'eventbridge.services.k8s.aws/v1alpha1',
  Key: 'kms.services.k8s.aws/v1alpha1',
  Alias: 'kms.services.k8s.aws/v1alpha1',
  Queue: 'sqs.services.k8s.aws/v1alpha1',
  Table: 'dynamodb.services.k8s.aws/v1alpha1',
  Topic: 'sns.services.k8s.aws/v1alpha1',
  Role: 'iam.services.k8s.aws/v1alpha1',
  PodIdentityAssociation: 'eks.services.k8s.aws/v1alpha1',
} as const;

/** A kind of ACK's that charts have. */
export type AckKind = keyof typeof API_VERSIONS;

/** A resource of one of ACK's controllers. */
export interface AckObject {
  readonly kind: AckKind;
  /** In Kubernetes; the name in AWS is in the specification. */
  readonly name: string;
  readonly namespace: string;
  readonly wave: number;
  /**
   * How the controller finds in AWS what is there already (`services.k8s.aws/adoption-fields`), so that a resource that was deleted and is applied again takes
   * over its table instead of failing because that exists. Absent where AWS names things itself.
   */
  readonly adopt?: Json;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: object;
}

/** Adds a resource of one of ACK's controllers, kept if it holds data: without that, a prune deletes the table. */
export function ack(scope: Scope, global: GlobalValues, object: AckObject): void {
  const { kind, name, namespace, labels, spec } = object;
  const manifest: Manifest = {
    apiVersion: API_VERSIONS[kind],
    kind,
    metadata: { name, namespace, labels, annotations: annotationsOf(global, object) },
    spec,
  };
  scope.add(manifest);
}

function annotationsOf(global: GlobalValues, { kind, wave, adopt, annotations }: AckObject): Record<string, string> {
  return {
    'services.k8s.aws/region': global.aws.region,
    [SYNC_WAVE]: String(wave),
    ...(HOLDS_DATA.has(kind) && {
      'services.k8s.aws/deletion-policy': 'retain',
      'argocd.argoproj.io/sync-options': 'Prune=false',
    }),
    ...(adopt !== undefined && {
      'services.k8s.aws/adoption-policy': 'adopt-or-create',
      'services.k8s.aws/adoption-fields': policyJson(adopt),
    }),
    ...annotations,
  };
}

/** Labels of what belongs to a service. */
export const labelsOf = (service: string): Record<string, string> => ({
  'app.kubernetes.io/name': service,
  'app.kubernetes.io/part-of': 'mercato',
});

/** Tags of everything in AWS, as the APIs that take lists want them. */
export const tagList = (global: GlobalValues, service: string): { key: string; value: string }[] =>
  Object.entries(tags(global, service)).map(([key, value]) => ({ key, value }));

/** Tags of everything in AWS. */
export const tags = (global: GlobalValues, service: string): Record<string, string> => ({
  [ENVIRONMENT_TAG]: global.environment,
  'mercato:service': service,
});

/** A reference from one of ACK's resources to another. */
export const ref = (name: string, namespace?: string): object => ({
  from: { name, ...(namespace !== undefined && { namespace }) },
});
