import { type Condition, setCondition } from '../../api/conditions.ts';
import type { Participant, ParticipantStatus } from '../../api/participant.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Fence } from '../../kube/fence.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type Result, requeueAfter } from '../../runtime/result.ts';
import { unlessConflict, writeStatus } from '../status.ts';
import type { ParticipantHealth } from './health.ts';
import { addressOf, participants } from './registry.ts';

/** Aggregates are written at most this often. */
const EVERY_MILLIS = 10_000;

export interface ParticipantControllerOptions {
  readonly client: KubeClient;
  readonly fence: Fence;
  readonly health: ParticipantHealth;
  readonly clock: Clock;
}

/** Shows in a Participant's status where commands go and whether they are answered. */
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
    const address = addressOf(participant);
    const { available, lastError } = this.#o.health.of(namespace, name);
    let conditions: readonly Condition[] | undefined = participant.status?.conditions;
    conditions = setCondition(
      conditions,
      {
        type: 'Resolved',
        status: address === undefined ? 'False' : 'True',
        reason: address === undefined ? 'QueueNotSupported' : 'AddressKnown',
        message:
          address === undefined
            ? 'this operator carries commands over HTTP: give a service or a url'
            : `commands go to ${address}`,
        observedGeneration: generation,
      },
      now,
    );
    conditions = setCondition(
      conditions,
      {
        type: 'Available',
        status: available ? 'True' : 'False',
        reason: available ? 'Answers' : (lastError?.reason ?? 'NoAnswer'),
        message: available ? 'its last answer was one' : (lastError?.message ?? 'it does not answer'),
        observedGeneration: generation,
      },
      now,
    );
    return {
      observedGeneration: generation,
      conditions: [...conditions],
      ...(address === undefined ? {} : { address }),
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
