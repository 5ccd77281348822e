import type { ApiObject } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { isHole, isSubtree } from '../holes/hole.ts';
import { type Manifest, type Scope, structuralCopy } from './scope.ts';

/** The classes of cdk8s-plus-28 for Kubernetes' own kinds. Nothing else in this package imports that library. */
export { k8s };

/** A class of cdk8s-plus-28 for one kind, and what it is given. */
interface KindClass<Props> {
  manifest(props: Props): unknown;
}

/** What a class wants, plus fields that are newer than it. */
export type Given<Props> = Props & { readonly metadata: { readonly name: string } };

type Path = readonly (string | number)[];

/**
 * Adds an object of one of Kubernetes' own kinds through its class in cdk8s-plus-28, which checks types at compile time and knows the field names of
 * Kubernetes 1.28. The class copies only fields that it knows and drops the rest in silence (`preStop.sleep`, a hole for a whole map), so everything
 * that was given and did not come out is put back afterwards.
 *
 * @param newer fields that Kubernetes got after 1.28, in the object's shape; lists are matched by position
 */
export function kube<Props>(scope: Scope, kind: KindClass<Props>, given: Given<Props>, newer: object = {}): ApiObject {
  return scope.add(manifestOf(kind, given, newer));
}

/** As `kube`, but gives the object instead of adding it. */
export function manifestOf<Props>(kind: KindClass<Props>, given: Given<Props>, newer: object = {}): Manifest {
  const wanted = overlay(plain(given), newer);
  const made = structuralCopy(kind.manifest(withoutSubtrees(given) as Props));
  return restore(made, wanted, []) as Manifest;
}

/** Quantity and IntOrString are classes that hold one value. */
function plain(value: unknown): unknown {
  if (isHole(value) || typeof value !== 'object' || value === null) return value;
  if (value instanceof k8s.Quantity || value instanceof k8s.IntOrString) return value.value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => [key, plain(entry)]),
  );
}

/** A class lists the entries of every map and list, which a hole does not let it do. */
function withoutSubtrees(value: unknown): unknown {
  if (isHole(value) || typeof value !== 'object' || value === null) return value;
  if (value instanceof k8s.Quantity || value instanceof k8s.IntOrString) return value;
  // Entries that are not known yet come last, so the others keep their places.
  if (Array.isArray(value)) return value.filter((entry) => !isSubtree(entry)).map(withoutSubtrees);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => !isSubtree(entry))
      .map(([key, entry]) => [key, withoutSubtrees(entry)]),
  );
}

function overlay(base: unknown, over: unknown): unknown {
  if (isHole(over) || typeof over !== 'object' || over === null || isHole(base)) return over;
  if (typeof base !== 'object' || base === null) return over;
  if (Array.isArray(base)) {
    const list = over as unknown[];
    return Array.from({ length: Math.max(base.length, list.length) }, (_, i) =>
      list[i] === undefined ? base[i] : overlay(base[i], list[i]),
    );
  }
  const merged: Record<string, unknown> = { ...base };
  for (const [key, entry] of Object.entries(over)) merged[key] = key in merged ? overlay(merged[key], entry) : entry;
  return merged;
}

/** What a class made, with all that was wanted. */
function restore(made: unknown, wanted: unknown, path: Path): unknown {
  if (isHole(wanted) || typeof wanted !== 'object' || wanted === null) return wanted;
  if (Array.isArray(wanted)) return wanted.map((entry, i) => restore(entryOf(made, i), entry, [...path, i]));
  const result: Record<string, unknown> = isMap(made) ? { ...made } : {};
  for (const [key, entry] of Object.entries(wanted)) result[key] = restore(entryOf(made, key), entry, [...path, key]);
  return result;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !isHole(value) && !Array.isArray(value);

function entryOf(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null && !isHole(value)
    ? (value as Record<string | number, unknown>)[key]
    : undefined;
}
