import type { Clock } from '../runtime/clock.ts';
import { canonicalJson } from '../saga/canonical.ts';
import type { Answer, RunId } from '../saga/types.ts';
import type { ParticipantConfig } from './config.ts';
import { type HttpParticipant, httpParticipant, type SendObserver } from './http.ts';
import type { Participants, SendEffect } from './participants.ts';
import type { TokenSource } from './tokens.ts';

/** How a registry is made; its participants share these. */
export interface RegistryOptions {
  readonly tokens: TokenSource;
  /** @default none */
  readonly observer?: SendObserver;
  /** @default the machine's clock */
  readonly clock?: Clock;
}

interface Entry {
  /** The config as text, to tell whether it changed. */
  readonly said: string;
  readonly participant: HttpParticipant;
}

/** How soon to ask again for a participant that nobody has declared yet. */
const UNKNOWN_RETRY_MS = 5000;

/**
 * The participants that are declared, by namespace and name. A run reaches only those of its own namespace.
 *
 * Changes are live: the next command takes the new way, what was sent on the old one is still answered, and what only waited there answers `NotNow`, so
 * that its run sends it again at once.
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
  set(namespace: string, name: string, config: ParticipantConfig): void {
    const key = keyOf(namespace, name);
    const said = canonicalJson(config);
    const former = this.#entries.get(key);
    if (former?.said === said) return;
    this.#entries.set(key, { said, participant: httpParticipant({ ...this.#options, name, config }) });
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

  /** Takes all participants back; resolves when the last answer to what was sent is in and all connections are closed. */
  async close(): Promise<void> {
    for (const { participant } of this.#entries.values()) this.#retire(participant);
    this.#entries.clear();
    await Promise.all(this.#closing);
  }

  #retire(participant: HttpParticipant): void {
    const closing = participant.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
