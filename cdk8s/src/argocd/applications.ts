import { namespaceLabels } from '../constructs/namespace.ts';
import { usesAwsIn } from '../model/environments.ts';
import type { Component, Environment, Zone } from '../model/types.ts';
import { CHARTS_PROJECT, ENVIRONMENTS_PROJECT } from './project.ts';
import {
  ARGO_API_VERSION,
  CASCADE,
  type Deployable,
  ENVIRONMENT_LABEL,
  type Installation,
  type Manifest,
  PART_OF_MERCATO,
} from './types.ts';

/** The chart of the CustomResourceDefinitions. */
export const CRDS_CHART = 'mercato-crds';
/** The chart of the shop's own resources: sagas, and who carries out their commands. */
export const SHOP_CHART = 'mercato-shop';
/** The chart of what services share in AWS: keys, the event bus. */
export const AWS_CHART = 'mercato-aws';

/** One chart of an environment. */
export interface Part {
  /** The chart's name, its folder below `charts/`, and the Helm release's name, so that it is the one that `helm install` makes. */
  readonly chart: string;
  readonly zone: Zone;
  readonly wave: number;
}

/**
 * Kinds first, then who reconciles them and who guards the card namespace, then all the rest. The rest is the last wave because Argo CD does not wait for
 * the health of that one: a StatefulSet that cannot start has no deadline, and a wave that waits for it would keep the commit that mends it
 * from being synced.
 */
const WAVES: Readonly<Record<Component, number>> = { controller: -20, simulator: 0, service: 0 };
const CRDS_WAVE = -30;
/** After the namespaces, which come with the controllers, and before the services, whose tables want their keys. */
const AWS_WAVE = -10;

/** The charts of an environment, in the order in which they are installed. */
export function partsOf(environment: Environment, deployables: readonly Deployable[]): readonly Part[] {
  const parts = deployables
    .filter(({ environments, partOf }) => partOf === undefined && (environments?.includes(environment) ?? true))
    .map(({ name, zone, component }) => ({ chart: name, zone, wave: WAVES[component] }));
  const shared: readonly Part[] = [
    { chart: CRDS_CHART, zone: 'system', wave: CRDS_WAVE },
    // Beside the services and not after them: their wave is not waited for.
    { chart: SHOP_CHART, zone: 'shop', wave: WAVES.service },
    ...(usesAwsIn(environment) ? [{ chart: AWS_CHART, zone: 'system', wave: AWS_WAVE } as const] : []),
  ];
  return [...shared, ...parts].sort((a, b) => a.wave - b.wave || a.chart.localeCompare(b.chart));
}

/** What a child Application takes over from the environment's Application: text, or an expression that gives it. */
export interface Inherited {
  /** The name of the environment's Application, with which those of its children begin. */
  readonly name: string;
  readonly repoURL: string;
  /** A commit, not a branch: a child that followed the branch by itself would not wait for its wave. */
  readonly revision: string;
  /** The API server of the cluster that the environment is. */
  readonly server: string;
}

/** The Application of one chart in one environment. */
export function childApplication(
  part: Part,
  environment: Environment,
  inherited: Inherited,
  { argocdNamespace, namespaces }: Pick<Installation, 'argocdNamespace' | 'namespaces'>,
): Manifest {
  const { chart, zone, wave } = part;
  const crds = chart === CRDS_CHART;
  // Kinds have none; that of card data comes with the boundary's chart, closed from its first moment.
  const namespaced = !crds && zone !== 'card';
  return {
    apiVersion: ARGO_API_VERSION,
    kind: 'Application',
    metadata: {
      name: `${inherited.name}-${chart}`,
      namespace: argocdNamespace,
      labels: { ...PART_OF_MERCATO, 'app.kubernetes.io/name': chart, [ENVIRONMENT_LABEL]: environment },
      annotations: {
        'argocd.argoproj.io/sync-wave': String(wave),
        // What the API server fills in is no difference: it is asked, in a dry run.
        'argocd.argoproj.io/compare-options': 'ServerSideDiff=true',
      },
      // Kinds stay when their Application goes: with them would go every run and every warehouse.
      ...(crds ? {} : { finalizers: [CASCADE] }),
    },
    spec: {
      project: CHARTS_PROJECT,
      source: {
        repoURL: inherited.repoURL,
        targetRevision: inherited.revision,
        path: `charts/${chart}`,
        helm: { releaseName: chart, ...valuesOf(chart, environment) },
      },
      destination: { server: inherited.server, namespace: namespaces[zone] },
      syncPolicy: {
        automated: { prune: !crds, selfHeal: true },
        ...(namespaced && { managedNamespaceMetadata: { labels: namespaceLabels(zone) } }),
        syncOptions: [
          ...(namespaced ? ['CreateNamespace=true'] : []),
          'ServerSideApply=true',
          'FailOnSharedResource=true',
          'PruneLast=true',
          'PrunePropagationPolicy=foreground',
        ],
        retry: { limit: 5, backoff: { duration: '5s', factor: 2, maxDuration: '1m' } },
      },
    },
  };
}

/**
 * The environment's generated values, then what only this installation knows: registry, version, account. The latter are written by hand in
 * `installation/`, for all charts and for one, and need not be there.
 */
function valuesOf(chart: string, environment: Environment): object {
  const own = `../../environments/${environment}/${chart}.yaml`;
  if (chart === CRDS_CHART) return { valueFiles: [own] };
  const installation = `../../installation/${environment}`;
  return {
    valueFiles: [own, `${installation}/global.yaml`, `${installation}/${chart}.yaml`],
    ignoreMissingValueFiles: true,
  };
}

/** What the environment's Application is told from outside: text, or an expression of the ApplicationSet that gives it. */
export interface Place {
  readonly name: string;
  readonly environment: string;
  readonly server: string;
}

/** The Application of an environment without its status: what an ApplicationSet has as its template, too. */
export interface ApplicationTemplate {
  readonly metadata: Manifest['metadata'];
  readonly spec: Readonly<Record<string, unknown>>;
}

/**
 * The Application of an environment: an app of apps. It hands the commit that it is synced to on to its children, so that a commit goes through the
 * waves as a whole, and its newest commit is taken at the next attempt when a wave fails: `git revert` is the way back.
 */
export function environmentApplication(place: Place, installation: Installation): ApplicationTemplate {
  const { repoURL, revision, argocdNamespace } = installation;
  const parameter = (name: string, value: string) => ({ name, value, forceString: true });
  return {
    metadata: {
      name: place.name,
      namespace: argocdNamespace,
      labels: { ...PART_OF_MERCATO, [ENVIRONMENT_LABEL]: place.environment },
      finalizers: [CASCADE],
    },
    spec: {
      project: ENVIRONMENTS_PROJECT,
      source: {
        repoURL,
        targetRevision: revision,
        path: `argocd/${place.environment}`,
        helm: {
          // Argo CD fills in what begins with a dollar sign ("Build Environment" in its manual).
          parameters: [
            parameter('name', '$ARGOCD_APP_NAME'),
            parameter('repoURL', '$ARGOCD_APP_SOURCE_REPO_URL'),
            parameter('revision', '$ARGOCD_APP_REVISION'),
            parameter('server', place.server),
          ],
        },
      },
      destination: { server: 'https://kubernetes.default.svc', namespace: argocdNamespace },
      syncPolicy: {
        automated: { prune: true, selfHeal: true },
        syncOptions: ['ServerSideApply=true', 'PruneLast=true', 'PrunePropagationPolicy=foreground'],
        retry: { limit: -1, refresh: true, backoff: { duration: '10s', factor: 2, maxDuration: '3m' } },
      },
    },
  };
}
