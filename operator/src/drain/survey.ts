import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { hasFinalizer, idOf } from '../controllers/ordersagarun/run.ts';
import { decode } from '../journals/kubernetes/codec.ts';
import type { GivenUp } from '../saga/types.ts';

/**
 * What a run means to whoever takes the operator away.
 *
 * - `free`: nothing of ours keeps its object. It was never begun, it is a window on a run elsewhere, or it was let go.
 * - `ended`: it is over, and only its finalizer is left, which nobody would take away any more.
 * - `held`: it waits for a person.
 * - `working`: it is on its way, or nobody can tell.
 */
export type Standing =
  | { readonly kind: 'free' }
  | { readonly kind: 'ended'; readonly givenUp: readonly GivenUp[]; readonly finishedAt: number }
  | { readonly kind: 'held'; readonly holdId: string; readonly why: string }
  | { readonly kind: 'working'; readonly why: string };

/** Where a run stands. A phase alone proves nothing: what is not what the engine wrote is not over. */
export function standingOf(run: OrderSagaRun): Standing {
  if (run.spec.mode === 'View' || !hasFinalizer(run)) return { kind: 'free' };
  const found = decode(idOf(run), run.status);
  const next = run.status?.nextAction ?? 'it was taken up, and has no status yet';
  if (found === undefined || !('state' in found)) return { kind: 'working', why: next };
  const { ended, hold, givenUp, finishedAt = 0 } = found.state;
  if (ended !== undefined) return { kind: 'ended', givenUp, finishedAt };
  if (hold !== undefined) return { kind: 'held', holdId: hold.id, why: `${hold.reason}: ${hold.message}` };
  return { kind: 'working', why: next };
}
