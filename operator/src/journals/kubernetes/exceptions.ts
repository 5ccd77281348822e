import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists } from '../../kube/errors.ts';
import { configMaps } from '../../kube/resource.ts';
import { canonicalJson, sha256 } from '../../saga/canonical.ts';
import { runKey } from '../../saga/command.ts';
import type { GivenUp, RunId } from '../../saga/types.ts';

/** Marks an exception record: `kubectl get configmaps -n <operator's namespace> -l mercato.dev/record=exception`. */
export const EXCEPTION_LABELS = { 'mercato.dev/record': 'exception' } as const;

/**
 * Puts on record what a run gave up on, as an immutable ConfigMap in the operator's namespace: unlike an Event it stays, and unlike the run it
 * survives its namespace. Its name follows from what it says, so that repeating it changes nothing. Rejects with the client's errors.
 */
export async function recordException(
  client: KubeClient,
  namespace: string,
  id: RunId,
  entry: GivenUp,
  at: number,
): Promise<void> {
  const name = exceptionName(id, entry);
  const labels = {
    ...EXCEPTION_LABELS,
    'mercato.dev/namespace': id.namespace,
    'mercato.dev/saga': id.saga,
    'mercato.dev/order': id.orderId,
  };
  const data = { run: runKey(id), ...entry, at: new Date(at).toISOString() };
  try {
    await client.create(configMaps, { metadata: { name, namespace, labels }, data, immutable: true });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** The name of the record of an entry: the same entry of the same run has the same name. */
export function exceptionName(id: RunId, entry: GivenUp): string {
  return `exception-${sha256(canonicalJson([runKey(id), entry])).slice(0, 20)}`;
}
