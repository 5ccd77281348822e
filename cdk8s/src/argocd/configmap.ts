import type { Installation, Manifest } from './types.ts';

/**
 * Our part of Argo CD's own ConfigMap. It is applied server-side under a field manager of its own, so that it adds keys and leaves the others.
 *
 * @param checks Lua by `<group>_<kind>`
 */
export function argocdConfigMap({ argocdNamespace }: Installation, checks: ReadonlyMap<string, string>): Manifest {
  const data = [...checks].map(([kind, lua]) => [`resource.customizations.health.${kind}`, lua]);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    // Argo CD reads no ConfigMap without its own part-of label.
    metadata: {
      name: 'argocd-cm',
      namespace: argocdNamespace,
      labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
    },
    data: Object.fromEntries(data),
  };
}
