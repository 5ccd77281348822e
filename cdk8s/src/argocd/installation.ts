import type { Installation } from './types.ts';

/**
 * The installation that argocd/ is generated for. Change it, above all the repository's address, and run `make generate`. One Argo CD in each cluster: a
 * hub that may write to every cluster would bring all of them, and itself, into the audit's scope.
 */
export const INSTALLATION: Installation = {
  repoURL: 'https://git.example.com/mercato/mercato.git',
  revision: 'main',
  argocdNamespace: 'argocd',
  servers: ['https://kubernetes.default.svc'],
  namespaces: {
    system: 'mercato-system',
    shop: 'mercato-shop',
    card: 'mercato-card',
    boundary: 'mercato-boundary',
    simulators: 'mercato-simulators',
  },
};
