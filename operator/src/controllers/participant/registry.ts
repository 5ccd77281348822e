import { type Participant, participant as participantKind } from '../../api/participant.ts';
import type { Cache } from '../../kube/cache.ts';
import { resourceOfKind } from '../../kube/kind.ts';
import type { LaneConfig } from '../../participants/config.ts';
import type { ParticipantRegistry } from '../../participants/registry.ts';
import type { Logger } from '../../runtime/logger.ts';

/** Participants as the client addresses them. */
export const participants = resourceOfKind(participantKind);

/** Where a participant answers over HTTP; undefined for one behind a queue. */
export function addressOf({ metadata, spec }: Participant): string | undefined {
  const path = spec.basePath ?? '';
  if (spec.url !== undefined) return `${spec.url.replace(/\/+$/, '')}${path}`;
  if (spec.service !== undefined)
    return `http://${spec.service.name}.${metadata.namespace}.svc:${spec.service.port}${path}`;
  return undefined;
}

/** Where commands go, for people. */
export function destinationOf(participant: Participant): string | undefined {
  return addressOf(participant) ?? participant.spec.queue?.url;
}

/** A Participant's spec in the words of the adapter that calls it; undefined where it says no way to it. */
export function configOf(participant: Participant): LaneConfig | undefined {
  const { audience, commands, limits, batch, queue } = participant.spec;
  const common = {
    audience,
    reasons: Object.fromEntries(commands.map(({ name, reasons }) => [name, reasons])),
    maxInFlight: limits.maxInFlight,
    maxAnswerBytes: limits.maxAnswerBytes,
    ...(limits.requestsPerSecond === undefined
      ? {}
      : { rate: { perSecond: limits.requestsPerSecond, burst: limits.burst ?? limits.requestsPerSecond } }),
  };
  if (queue !== undefined) return { queue, ...common };
  const baseUrl = addressOf(participant);
  if (baseUrl === undefined) return undefined;
  return { baseUrl, ...common, ...(batch === undefined ? {} : { batch: { maxItems: batch.maxItems } }) };
}

/**
 * Keeps the registry of participants as the cache has them, on standby replicas too: a run that is taken over must not find nobody to talk to.
 * @returns what ends it.
 */
export function feedRegistry(cache: Cache<Participant>, registry: ParticipantRegistry, logger: Logger): () => void {
  const declare = (participant: Participant): void => {
    const { namespace = '', name } = participant.metadata;
    const config = configOf(participant);
    if (config === undefined) return registry.delete(namespace, name);
    try {
      registry.set(namespace, name, config);
    } catch (error) {
      logger.error('participant cannot be used', { participant: `${namespace}/${name}`, error });
    }
  };
  for (const participant of cache.values()) declare(participant);
  return cache.onChange((change) => {
    if (change.type === 'deleted') registry.delete(change.old.metadata.namespace ?? '', change.old.metadata.name);
    else declare(change.object);
  });
}
