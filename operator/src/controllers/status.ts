import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import type { Fence } from '../kube/fence.ts';
import type { Resource } from '../kube/resource.ts';
import type { KubeObject } from '../kube/types.ts';

/** How a status reaches the API server, and the fence that then keeps older reads away. */
export interface StatusPorts {
  readonly client: KubeClient;
  readonly fence: Fence;
}

/**
 * Writes a status as a whole if it differs from what `object` has, on condition that the object is still as it was read. Rejects with a
 * conflict if it is not.
 *
 * @returns whether `status` now stands: false if the object is gone
 */
export async function writeStatus<T extends KubeObject & { status?: object }>(
  { client, fence }: StatusPorts,
  of: Resource<T>,
  object: T,
  status: NonNullable<T['status']>,
): Promise<boolean> {
  if (isDeepStrictEqual(status, object.status)) return true;
  const { namespace = '', name, resourceVersion = '' } = object.metadata;
  try {
    const answer = await client.applyStatus<KubeObject & { status?: object }>(
      of,
      { namespace, name },
      { status },
      { resourceVersion },
    );
    fence.wrote(answer);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** For writes whose conflict is no failure, since the other write's event brings the object back. @throws every other error */
export function unlessConflict(error: unknown): void {
  if (!isConflict(error)) throw error;
}
