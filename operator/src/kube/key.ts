declare const objectKey: unique symbol;

/** `namespace/name`, or `name` for what has no namespace: how queues and stores name an object. */
export type ObjectKey = string & { readonly [objectKey]: true };

/** An object's place, which outlives the object: a deleted and re-created object has the same. */
export interface NamespacedName {
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
}

/** The key of a place. */
export function keyOf(namespace: string | undefined, name: string): ObjectKey {
  return (namespace ? `${namespace}/${name}` : name) as ObjectKey;
}

/** The key of an object. */
export function keyOfObject(object: { metadata: { namespace?: string; name: string } }): ObjectKey {
  return keyOf(object.metadata.namespace, object.metadata.name);
}

/** The place that a key names. Names cannot contain a slash, so this is the exact reverse of `keyOf`. */
export function parseKey(key: ObjectKey): NamespacedName {
  const slash = key.indexOf('/');
  return slash < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
