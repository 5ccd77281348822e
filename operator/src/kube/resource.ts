import type {
  ConfigMap,
  ControllerRevision,
  CustomResourceDefinition,
  KubeEvent,
  KubeObject,
  Lease,
  Namespace,
  Secret,
  ServiceAccount,
} from './types.ts';

declare const objectType: unique symbol;

/** What the API server serves under one path: enough to address it, and the type of its objects. */
export interface Resource<T extends KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Lower case, as in the path. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Only for the type checker. */
  readonly [objectType]?: T;
}

/** Describes a resource whose objects have type `T`. */
export function resource<T extends KubeObject>(description: {
  group: string;
  version: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}): Resource<T> {
  return description;
}

/** `group/version`, or `version` for the core group: the `apiVersion` of the resource's objects. */
export function apiVersionOf(of: Resource<KubeObject>): string {
  return of.group === '' ? of.version : `${of.group}/${of.version}`;
}

/** `plural.group`, as kubectl prints it: a name for logs and metrics. */
export function nameOf(of: Resource<KubeObject>): string {
  return of.group === '' ? of.plural : `${of.plural}.${of.group}`;
}

/**
 * The path of a collection, or with `name` of an object, or with `subresource` of that.
 * Throws if a namespace is given for what has none, or an object is named without the namespace that it needs.
 */
export function pathOf(
  of: Resource<KubeObject>,
  place: { namespace?: string; name?: string; subresource?: string } = {},
): string {
  const { namespace, name, subresource } = place;
  if (!of.namespaced && namespace)
    throw new Error(`${of.kind} is cluster-scoped: there is none in namespace "${namespace}"`);
  if (of.namespaced && !namespace && name !== undefined) throw new Error(`${of.kind} "${name}" needs a namespace`);
  let path = of.group === '' ? `/api/${of.version}` : `/apis/${of.group}/${of.version}`;
  if (namespace) path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${of.plural}`;
  if (name !== undefined) path += `/${encodeURIComponent(name)}`;
  if (subresource !== undefined) path += `/${subresource}`;
  return path;
}

const core = (kind: string, plural: string, namespaced = true) => ({
  group: '',
  version: 'v1',
  kind,
  plural,
  namespaced,
});

export const configMaps: Resource<ConfigMap> = resource(core('ConfigMap', 'configmaps'));
export const secrets: Resource<Secret> = resource(core('Secret', 'secrets'));
export const serviceAccounts: Resource<ServiceAccount> = resource(core('ServiceAccount', 'serviceaccounts'));
export const namespaces: Resource<Namespace> = resource(core('Namespace', 'namespaces', false));
export const leases: Resource<Lease> = resource({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
});
export const events: Resource<KubeEvent> = resource({
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
});
export const controllerRevisions: Resource<ControllerRevision> = resource({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  namespaced: true,
});
export const customResourceDefinitions: Resource<CustomResourceDefinition> = resource({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
});
