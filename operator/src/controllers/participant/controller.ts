import { type Condition, setCondition } from '../../api/conditions.ts';
import type { Participant, ParticipantStatus } from '../../api/participant.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Fence } from '../../kube/fence.ts';
import type { CircuitView } from '../../participants/protection.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type Result, requeueAfter } from '../../runtime/result.ts';
import { unlessConflict, writeStatus } from '../status.ts';
import { shownCircuit } from './circuits.ts';
import type { Health, ParticipantHealth } from './health.ts';
import { destinationOf, participants } from './registry.ts';

/** Aggregates are written at most this often. */
const EVERY_MILLIS = 10_000;

export interface ParticipantControllerOptions {
  readonly client: KubeClient;
  readonly fence: Fence;
  readonly health: ParticipantHealth;
  /** This process' circuit; undefined while commands for it have nowhere to go. */
  readonly circuitOf: (namespace: string, name: string) => CircuitView | undefined;
  readonly clock: Clock;
}

/** Shows in a Participant's status where commands go, whether they are answered, and whether they are sent at all. */
export class ParticipantController {
  readonly #o: ParticipantControllerOptions;

  constructor(options: ParticipantControllerOptions) {
    this.#o = options;
  }

  async reconcile(participant: Participant): Promise<Result> {
    const status = this.#statusOf(participant, participant.metadata.generation ?? 0);
    // Somebody's write in between brings it back by its event.
    await writeStatus(this.#o, participants, participant, status).catch(unlessConflict);
    return requeueAfter(EVERY_MILLIS);
  }

  #statusOf(participant: Participant, generation: number): ParticipantStatus {
    const { namespace = '', name } = participant.metadata;
    const now = new Date(this.#o.clock.wall()).toISOString();
    const address = destinationOf(participant);
    const wall = this.#o.clock.wall();
    const own = this.#o.circuitOf(namespace, name);
    // A changed Participant begins with closed circuits, in every process.
    const standing = participant.status?.observedGeneration === generation ? participant.status.circuit : undefined;
    const circuit = own === undefined ? undefined : shownCircuit(own, standing, wall);
    const { available, lastError } = this.#o.health.of(namespace, name, own);
    let conditions: readonly Condition[] | undefined = participant.status?.conditions;
    conditions = setCondition(
      conditions,
      {
        type: 'Resolved',
        status: address === undefined ? 'False' : 'True',
        reason: address === undefined ? 'NoAddress' : 'AddressKnown',
        message: address === undefined ? 'give a service, a url or a queue' : `commands go to ${address}`,
        observedGeneration: generation,
      },
      now,
    );
    conditions = setCondition(
      conditions,
      { type: 'Available', ...availability(available, circuit, lastError), observedGeneration: generation },
      now,
    );
    return {
      observedGeneration: generation,
      conditions: [...conditions],
      ...(address === undefined ? {} : { address }),
      ...(circuit === undefined ? {} : { circuit }),
      ...(lastError === undefined
        ? {}
        : {
            lastError: {
              reason: lastError.reason,
              message: lastError.message.slice(0, 512),
              at: new Date(lastError.at).toISOString(),
            },
          }),
    };
  }
}

function availability(
  available: boolean,
  circuit: ParticipantStatus['circuit'],
  lastError: Health['lastError'],
): Pick<Condition, 'status' | 'reason' | 'message'> {
  const why = lastError === undefined ? 'it failed too often' : `${lastError.reason}: ${lastError.message}`;
  if (circuit?.state === 'Open') {
    const message = `left alone until ${circuit.until}, at no cost to any run: ${why}`;
    return { status: 'False', reason: 'CircuitOpen', message };
  }
  if (circuit?.state === 'HalfOpen')
    return { status: 'False', reason: 'CircuitHalfOpen', message: `the next commands try it: ${why}` };
  if (available) return { status: 'True', reason: 'Answers', message: 'its last command was answered' };
  return { status: 'False', reason: lastError?.reason ?? 'NoAnswer', message: lastError?.message ?? why };
}
