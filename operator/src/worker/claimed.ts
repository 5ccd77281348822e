import type { ClaimedRun } from '../journals/worker-journal.ts';
import type { Adoption } from '../runner/runner.ts';
import type { Definitions } from './definitions.ts';

/** Why a run that was taken over cannot be driven yet, and what helps. */
export interface Stuck {
  readonly reason: 'SagaNotFound' | 'SagaNotAccepted' | 'RevisionNotFound' | 'JournalTooNew';
  readonly message: string;
}

/** What a run that was taken over is driven from. */
export interface Found {
  readonly adoption: Adoption;
  /** It is known to have begun: it has a place of its saga's maxActive. */
  readonly begun: boolean;
}

/**
 * What to make of a run that another worker left, or this one in an earlier life. As with the kubernetes journal: it follows the revision that it began
 * with; only one of which nothing can be believed follows the definition's current one where its own is gone.
 *
 * Rejects with the journal's errors.
 */
export async function claimedAdoption(claimed: ClaimedRun, definitions: Definitions): Promise<Found | Stuck> {
  const { run, record, died } = claimed;
  const { id, input, traceparent } = run;
  if ('newer' in record) return { reason: 'JournalTooNew', message: record.newer };
  const state = 'state' in record ? record.state : undefined;
  const hash = state?.revision ?? run.revision;
  let revision = await definitions.revision(id.namespace, id.saga, hash);
  if (revision === undefined) {
    if (state !== undefined) return { reason: 'RevisionNotFound', message: gone(hash) };
    const verdict = definitions.verdict(id.namespace, id.saga);
    if (!verdict.accepted) return verdict;
    revision = verdict.revision;
    await definitions.store(id.namespace, id.saga, revision);
  }
  const common = { context: { id, input, ...(traceparent && { traceparent }) }, revision, version: record.version };
  if ('damaged' in record)
    return { adoption: { ...common, from: { type: 'Damaged', message: record.damaged } }, begun: true };
  // Handed over without a state: whoever had it made all that it knew durable, so nothing was done.
  if (state === undefined && !died) return { adoption: { ...common, from: { type: 'New' } }, begun: false };
  return { adoption: { ...common, from: { type: 'TakenOver', state, died } }, begun: state !== undefined };
}

function gone(hash: string): string {
  return `the run began with revision ${hash}, which its journal has no more: apply the OrderSaga as it was then, and the run goes on`;
}
