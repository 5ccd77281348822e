import { isDeepStrictEqual } from 'node:util';
import { type Condition, setCondition } from '../../api/conditions.ts';
import type { Participant, ParticipantStatus } from '../../api/participant.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type Result, requeueAfter } from '../../runtime/result.ts';
import type { ParticipantHealth } from './health.ts';
import { addressOf, participants } from './registry.ts';

/** Aggregates are written at most this often. */
const EVERY_MILLIS = 10_000;

export interface ParticipantControllerOptions {
  readonly client: KubeClient;
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
    const { namespace = '', name, generation = 0, resourceVersion = '' } = participant.metadata;
    const status = this.#statusOf(participant, generation);
    if (!isDeepStrictEqual(status, participant.status)) {
      await this.#o.client.applyStatus(participants, { namespace, name }, { status }, { resourceVersion });
    }
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
