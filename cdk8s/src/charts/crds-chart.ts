import { kinds } from '@mercato/operator/api/index.ts';
import { crdOf } from '@mercato/operator/api/kind.ts';
import { KEEP } from '../constructs/namespace.ts';
import type { Manifest } from '../constructs/scope.ts';
import { defineChart } from './chart.ts';
import { group } from './schema.ts';

/**
 * The kinds, as templates: Helm never upgrades what is in a chart's `crds/`. A release of its own, because a release cannot hold a kind and objects of
 * it. They stay when the release goes: with a kind would go every run and every warehouse.
 */
export const crdsChart = defineChart({
  name: 'mercato-crds',
  description: 'The kinds of mercato.dev. Install and upgrade it before the other charts',
  values: group('Values of mercato-crds', {}),
  render(scope) {
    for (const kind of kinds) {
      const crd = crdOf(kind) as unknown as Manifest;
      scope.add({
        ...crd,
        metadata: {
          ...crd.metadata,
          annotations: {
            ...KEEP,
            // Their schemas do not fit into the annotation of a client-side apply.
            'argocd.argoproj.io/sync-options': 'ServerSideApply=true,Prune=false,Delete=false',
          },
        },
      });
    }
  },
});
