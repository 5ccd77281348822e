import type { KubernetesObject } from './render.ts';

/** What one side has and the other has not. */
export interface Inequality {
  /** `apiVersion/kind namespace/name` and the path in the object. */
  readonly where: string;
  readonly cdk8s: unknown;
  readonly helm: unknown;
}

/** Says of which object something is. */
export function identityOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  return `${apiVersion}/${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}

/**
 * Compares what the two back ends give, object by object and field by field. Their order does not matter, since Helm sorts objects by kind;
 * a field that is null is one that is not there, as it is for the API server.
 *
 * @returns nothing when they are equal; an object that one side has twice is an inequality too
 */
export function inequalities(cdk8s: readonly KubernetesObject[], helm: readonly KubernetesObject[]): Inequality[] {
  const ours = byIdentity(cdk8s);
  const theirs = byIdentity(helm);
  const all = new Set([...ours.keys(), ...theirs.keys()]);
  return [...all].flatMap((identity) => differences(identity, ours.get(identity), theirs.get(identity)));
}

/** By identity; what has the same one (two namespaces that are given one name) is told apart by what is in it. */
function byIdentity(objects: readonly KubernetesObject[]): Map<string, unknown> {
  const map = new Map<string, unknown>();
  const entries = objects.map((object) => ({ identity: identityOf(object), object: normalised(object) }));
  for (const { identity, object } of entries.toSorted((a, b) => (textOf(a.object) < textOf(b.object) ? -1 : 1))) {
    let own = identity;
    while (map.has(own)) own = `${own} (again)`;
    map.set(own, object);
  }
  return map;
}

/** The same text for the same fields, in whatever order they come. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, entry: unknown) =>
    isBranch(entry) && !Array.isArray(entry)
      ? Object.fromEntries(Object.entries(entry).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : entry,
  );
}

/** cdk8s leaves empty labels and annotations of an object out. */
function normalised({ metadata, ...rest }: KubernetesObject): unknown {
  const fields = Object.entries(metadata).filter(
    ([field, value]) => !(['labels', 'annotations'].includes(field) && Object.keys(value ?? {}).length === 0),
  );
  return withoutNulls({ ...rest, metadata: Object.fromEntries(fields) });
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== null && entry !== undefined)
      .map(([key, entry]) => [key, withoutNulls(entry)]),
  );
}

function differences(where: string, cdk8s: unknown, helm: unknown): Inequality[] {
  if (Object.is(cdk8s, helm)) return [];
  if (!isBranch(cdk8s) || !isBranch(helm) || Array.isArray(cdk8s) !== Array.isArray(helm))
    return [{ where, cdk8s, helm }];
  const keys = new Set([...Object.keys(cdk8s), ...Object.keys(helm)]);
  return [...keys].flatMap((key) => differences(`${where}.${key}`, cdk8s[key], helm[key]));
}

const isBranch = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
