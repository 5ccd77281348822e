import { roleArn } from '../aws/names.ts';
import { all, equals, not } from '../holes/index.ts';
import { usesAws } from '../model/derive.ts';
import { metadata, type ServiceContext } from './context.ts';
import { k8s, kube } from './kube.ts';
import type { Scope } from './scope.ts';

/** The service's own identity. Without rights on the API server, and where AWS is used with a role of its own. */
export function serviceAccount(scope: Scope, ctx: ServiceContext): void {
  const add = (inner: Scope, annotations?: Record<string, string>) =>
    kube(inner, k8s.KubeServiceAccount, {
      metadata: { ...metadata(ctx), ...(annotations && { annotations }) },
      automountServiceAccountToken: false,
    });
  if (!usesAws(ctx.service)) {
    add(scope);
    return;
  }
  const { global } = ctx.values;
  const irsa = all(global.aws.enabled, equals(global.aws.identity, 'irsa'));
  scope.when(irsa, (inner) => void add(inner, { 'eks.amazonaws.com/role-arn': roleArn(global, ctx.service) }));
  scope.when(not(irsa), (inner) => void add(inner));
}
