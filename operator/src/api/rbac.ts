/** Objects of rbac.authorization.k8s.io/v1, as far as this project makes them. https://kubernetes.io/docs/reference/access-authn-authz/rbac/ */

const API = 'rbac.authorization.k8s.io';

/** What may be done with which resources. With `resourceNames` only with these objects, which leaves out create, list and watch. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  /** With a subresource as `ordersagaruns/status`. */
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** An object as the API server takes it. */
export interface RbacObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** A service account: whose rights they are. */
export interface Account {
  readonly namespace: string;
  readonly name: string;
}

/** What a role or binding is called and where it is. Without a namespace it is for the whole cluster. */
export interface RolePlace {
  readonly name: string;
  readonly namespace?: string;
  /** Beside `app.kubernetes.io/part-of`. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A Role, or without a namespace a ClusterRole. */
export function role(place: RolePlace, rules: readonly PolicyRule[]): RbacObject {
  return { ...head(place, 'Role'), rules };
}

/** Gives an account the role of the same name and place. */
export function binding(place: RolePlace, { name, namespace }: Account): RbacObject {
  const { kind } = head(place, 'Role');
  return {
    ...head(place, 'RoleBinding'),
    roleRef: { apiGroup: API, kind, name: place.name },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  };
}

function head({ name, namespace, labels, annotations }: RolePlace, kind: 'Role' | 'RoleBinding'): RbacObject {
  return {
    apiVersion: `${API}/v1`,
    kind: namespace === undefined ? `Cluster${kind}` : kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      labels: { 'app.kubernetes.io/part-of': 'mercato', ...labels },
      ...(annotations !== undefined && { annotations }),
    },
  };
}

/** One thing that somebody may do, or did: a verb on one resource. */
export interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** The one object that it is about, where the rule or the request names one. */
  readonly name?: string;
}

/** A rule taken apart: one right for each of its verbs, resources and names. */
export function rightsOf(rules: readonly PolicyRule[]): readonly Right[] {
  return rules.flatMap(({ apiGroups, resources, verbs, resourceNames = [undefined] }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) =>
          resourceNames.map((name) => ({ verb, group, resource, ...(name !== undefined && { name }) })),
        ),
      ),
    ),
  );
}
