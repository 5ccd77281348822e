import type { Participant } from '../../api/participant.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isConflict, isNotFound } from '../../kube/errors.ts';
import type { Recorder } from '../../kube/events.ts';
import type { NamespacedName } from '../../kube/key.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { CircuitView } from '../../participants/protection.ts';
import type { RegistryOptions } from '../../participants/registry.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { WallMillis } from '../../saga/types.ts';
import type { ParticipantMetrics } from './metrics.ts';
import { participants } from './registry.ts';

export interface CircuitReportOptions {
  readonly client: KubeClient;
  readonly declared: ReadStore<Participant>;
  readonly recorder: Recorder;
  readonly metrics: ParticipantMetrics;
  readonly logger: Logger;
  /** Whether this process keeps the Participants' statuses. */
  readonly leads: () => boolean;
  /** Has a Participant's status written anew. */
  readonly enqueue: (place: NamespacedName) => void;
}

/**
 * Tells people of circuits that open and close: by an Event of the Participant, in metrics, in its status.
 *
 * Each process has circuits of its own, and only one keeps the statuses. The others write down that a circuit opened and until when, which the keeper
 * leaves in place until then ({@link shownCircuit}).
 */
export function reportCircuits(options: CircuitReportOptions): NonNullable<RegistryOptions['onCircuit']> {
  const { client, declared, recorder, metrics, logger, leads, enqueue } = options;
  return (namespace, name, view, before) => {
    const { state, until, cause } = view;
    const place = { namespace, name };
    if (state === 'Open') metrics.openings.inc({ namespace, participant: name });
    const object = declared.get(namespace, name);
    if (object === undefined) return;
    // Opening again after a probe is more of the same.
    if (state === 'Open' && before === 'Closed') {
      const note = `it failed too often and is left alone for a while: ${cause?.reason}: ${cause?.message}`;
      recorder.event(object, { type: 'Warning', reason: 'CircuitOpened', action: 'Protect', note });
    } else if (state === 'Closed') {
      const note = 'it answers again: commands are sent as before';
      recorder.event(object, { type: 'Normal', reason: 'CircuitClosed', action: 'Protect', note });
    }
    enqueue(place);
    if (state !== 'Open' || until === undefined || leads()) return;
    showOpening(client, place, until).catch((error: unknown) => {
      if (!isNotFound(error))
        logger.warn('an open circuit could not be shown', { participant: `${namespace}/${name}`, error });
    });
  };
}

/** Others may write at the same time: their circuits open by the same failures. */
const SHOW_ATTEMPTS = 5;

/**
 * The whole status is applied, under the name that all replicas share: the keeper's next write then removes what it does not say any more.
 * @throws what the API server answered
 */
async function showOpening(client: KubeClient, place: NamespacedName, until: WallMillis): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { metadata, status } = await client.get(participants, place);
    const { circuit: standing } = status ?? {};
    if (standing?.until !== undefined && Date.parse(standing.until) >= until) return;
    const circuit = { state: 'Open' as const, until: new Date(until).toISOString() };
    const { resourceVersion = '' } = metadata;
    try {
      await client.applyStatus(participants, place, { status: { ...status, circuit } }, { resourceVersion });
      return;
    } catch (error) {
      if (!isConflict(error) || attempt === SHOW_ATTEMPTS) throw error;
    }
  }
}

type Shown = NonNullable<NonNullable<Participant['status']>['circuit']>;

/**
 * What the status says of a circuit: the own one, unless another process has said that its own is open, for as long as that is.
 * @param now by the wall clock, as `until` is
 */
export function shownCircuit(own: CircuitView, standing: Shown | undefined, now: number): Shown {
  if (own.state === 'Open' && own.until !== undefined)
    return { state: 'Open', until: new Date(own.until).toISOString() };
  const foreign = standing?.state === 'Open' && standing.until !== undefined && Date.parse(standing.until) > now;
  return foreign ? standing : { state: own.state };
}
