import type { SqsClientOptions } from '../aws/sqs.ts';
import type { Clock } from '../runtime/clock.ts';
import { canonicalJson } from '../saga/canonical.ts';
import type { Answer, RunId } from '../saga/types.ts';
import type { CircuitPolicy } from './circuit.ts';
import { checkRate, type LaneConfig } from './config.ts';
import { httpParticipant } from './http.ts';
import type { Participants, SendEffect, SendObserver } from './participants.ts';
import { type CircuitListener, type CircuitView, type ProtectedLane, protectedLane } from './protection.ts';
import { sqsParticipant } from './sqs.ts';
import type { TokenSource } from './tokens.ts';

/** How a registry is made; its participants share these. */
export interface RegistryOptions {
  readonly tokens: TokenSource;
  /** @default none */
  readonly observer?: SendObserver;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Told what goes wrong with queues of answers. @default nobody */
  readonly onError?: (error: unknown, doing: string) => void;
  /** How SQS is reached. @default as the AWS SDK's environment says */
  readonly sqs?: SqsClientOptions;
  /** Told when a participant's circuit opens or closes. @default nobody */
  readonly onCircuit?: (namespace: string, name: string, ...change: Parameters<CircuitListener>) => void;
  /** @default CIRCUIT_POLICY */
  readonly circuits?: CircuitPolicy;
}

interface Entry {
  /** The config as text, to tell whether it changed. */
  readonly said: string;
  readonly participant: ProtectedLane;
}

/** How soon to ask again for a participant that nobody has declared yet. */
const UNKNOWN_RETRY_MS = 5000;

/**
 * The participants that are declared, by namespace and name. A run reaches only those of its own namespace.
 *
 * Changes are live: the next command takes the new way, what was sent on the old one is still answered, and what only waited there answers `NotNow`, so
 * that its run sends it again at once. The new way has a circuit of its own, closed: who corrects an address is not made to wait.
 */
export class ParticipantRegistry implements Participants {
  readonly #options: RegistryOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Set<Promise<void>>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /**
   * Declares a participant, or changes it. The same config again does nothing, so that this may be called on every reconcile.
   *
   * @throws ParticipantConfigError; what was declared before stays
   */
  set(namespace: string, name: string, config: LaneConfig): void {
    const key = keyOf(namespace, name);
    const said = canonicalJson(config);
    const former = this.#entries.get(key);
    if (former?.said === said) return;
    this.#entries.set(key, { said, participant: this.#lane(namespace, name, config) });
    if (former !== undefined) this.#retire(former.participant);
  }

  /** Takes a participant back. Commands for it answer `NotNow: ParticipantUnknown` from now on. */
  delete(namespace: string, name: string): void {
    const key = keyOf(namespace, name);
    const former = this.#entries.get(key);
    if (former === undefined) return;
    this.#entries.delete(key);
    this.#retire(former.participant);
  }

  async send(run: RunId, effect: SendEffect, signal: AbortSignal): Promise<Answer> {
    const entry = this.#entries.get(keyOf(run.namespace, effect.participant));
    if (entry !== undefined) return entry.participant.send(run, effect, signal);
    this.#options.observer?.(effect.participant, effect.command, 'NotNow', 0);
    return {
      type: 'NotNow',
      reason: 'ParticipantUnknown',
      message: `no Participant ${effect.participant} in the namespace ${run.namespace} is ready; create it, or look at its conditions`,
      retryAfter: UNKNOWN_RETRY_MS,
    };
  }

  /** What a participant's circuit is like; undefined where none is declared. */
  circuitOf(namespace: string, name: string): CircuitView | undefined {
    return this.#entries.get(keyOf(namespace, name))?.participant.circuit;
  }

  /** The circuits of all participants. */
  *circuits(): Iterable<{ namespace: string; name: string; circuit: CircuitView }> {
    for (const [key, { participant }] of this.#entries) {
      const [namespace = '', name = ''] = key.split('/');
      yield { namespace, name, circuit: participant.circuit };
    }
  }

  /** Takes all participants back; resolves when the last answer to what was sent is in and all connections are closed. */
  async close(): Promise<void> {
    for (const { participant } of this.#entries.values()) this.#retire(participant);
    this.#entries.clear();
    await Promise.all(this.#closing);
  }

  #lane(namespace: string, name: string, config: LaneConfig): ProtectedLane {
    const { onCircuit, circuits, ...shared } = this.#options;
    const way =
      'queue' in config ? sqsParticipant({ ...shared, name, config }) : httpParticipant({ ...shared, name, config });
    const lane: ProtectedLane = protectedLane(way, {
      ...shared,
      seed: keyOf(namespace, name),
      name,
      rate: checkRate(config.rate),
      ...(circuits === undefined ? {} : { policy: circuits }),
      // What is still answered on a way that was replaced says nothing of the new one.
      onCircuit: (...change) => {
        if (this.#entries.get(keyOf(namespace, name))?.participant === lane) onCircuit?.(namespace, name, ...change);
      },
    });
    return lane;
  }

  #retire(participant: ProtectedLane): void {
    const closing = participant.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
