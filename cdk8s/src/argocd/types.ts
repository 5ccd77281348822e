import type { Component, Environment, Zone } from '../model/types.ts';

/** Names and addresses that the Argo CD objects hold. Nothing else differs between installations. */
export interface Installation {
  /** The repository with `charts/`, `environments/` and `argocd/`. */
  readonly repoURL: string;
  /** The branch or tag that an environment follows. */
  readonly revision: string;
  /** Where Argo CD itself runs. */
  readonly argocdNamespace: string;
  /** API servers that charts may be installed into. */
  readonly servers: readonly string[];
  readonly namespaces: Readonly<Record<Zone, string>>;
}

/** What of a service decides about its Application. */
export interface Deployable {
  readonly name: string;
  readonly component: Component;
  readonly zone: Zone;
  readonly environments?: readonly Environment[];
  /** Whose chart it is in. @default its own */
  readonly partOf?: string;
}

/** A Kubernetes object as plain JSON. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
  readonly [field: string]: unknown;
}

/** Group and version of Argo CD's kinds. */
export const ARGO_API_VERSION = 'argoproj.io/v1alpha1';
/** On everything here. */
export const PART_OF_MERCATO: Readonly<Record<string, string>> = { 'app.kubernetes.io/part-of': 'mercato' };
/** On a cluster's Secret in Argo CD, its value an environment: that cluster gets it. */
export const ENVIRONMENT_LABEL = 'mercato.dev/environment';
/** Argo CD deletes what an Application made before the Application goes. */
export const CASCADE = 'resources-finalizer.argocd.argoproj.io';
