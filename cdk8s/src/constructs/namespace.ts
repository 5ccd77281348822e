import { CARD_DATA, YES } from '@mercato/boundary/labels.ts';
import type { GlobalValues } from '../charts/global.ts';
import type { Zone } from '../model/types.ts';
import { namespaceOf } from './context.ts';
import type { Scope } from './scope.ts';

/** Helm and Argo CD leave an object with this where it is when its release goes, or no longer has it. Argo CD heeds Helm's word for the former only. */
export const KEEP = {
  'helm.sh/resource-policy': 'keep',
  'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
} as const;

/** Pod Security is set before the first pod; everything of ours runs under "restricted". */
export function namespaceLabels(zone: Zone): Readonly<Record<string, string>> {
  const levels = ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']);
  return {
    'app.kubernetes.io/part-of': 'mercato',
    ...Object.fromEntries(levels),
    ...(zone === 'card' && { [CARD_DATA]: YES }),
  };
}

/** A zone's namespace. It outlives the release, or the volumes of the services in it would go with it. */
export function namespace(scope: Scope, zone: Zone, global: GlobalValues): void {
  scope.add({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespaceOf(zone, global), labels: namespaceLabels(zone), annotations: { ...KEEP } },
  });
}
