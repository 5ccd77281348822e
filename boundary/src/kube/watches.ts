import { isDeepStrictEqual } from 'node:util';
import type { Cache } from '@mercato/operator/kube/cache.ts';
import { keyOf, type NamespacedName } from '@mercato/operator/kube/key.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import type { SecondaryWatch } from '@mercato/operator/runtime/controller.ts';

/**
 * As `watches`, but deaf to changes of what the cache does not keep: most changes of pods and nodes are of annotations, heartbeats and counters, and each
 * would have every boundary examined anew.
 */
export function watchesSeen<S extends KubeObject>(
  cache: Cache<S>,
  map: (object: S) => Iterable<NamespacedName>,
): SecondaryWatch {
  return {
    cache,
    subscribe(enqueue) {
      const each = (object: S) => {
        for (const { namespace, name } of map(object)) enqueue(keyOf(namespace, name));
      };
      for (const object of cache.values()) each(object);
      return cache.onChange((change) => {
        if (change.type === 'updated' && looksSame(change.old, change.object)) return;
        if (change.type !== 'added') each(change.old);
        if (change.type !== 'deleted') each(change.object);
      });
    },
  };
}

/** Whether two states of an object differ in nothing but their version. */
export function looksSame(a: KubeObject, b: KubeObject): boolean {
  const bare = ({ metadata: { resourceVersion: _, ...metadata }, ...rest }: KubeObject) => ({ ...rest, metadata });
  return isDeepStrictEqual(bare(a), bare(b));
}
