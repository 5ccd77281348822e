import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../kube/errors.ts';
import { configMaps } from '../kube/resource.ts';
import { type Clock, pause } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { canonicalJson, sha256 } from '../saga/canonical.ts';
import type { EventName } from './events.ts';
import type { IntakeRefused } from './intake.ts';
import type { IntakeMetrics } from './metrics.ts';

/** `kubectl get configmap intake-refusals -n <operator's namespace> -o yaml`. */
export const REFUSALS = 'intake-refusals';
/** The record is a window for people, not a store: the newest so many stay. */
const KEPT = 200;
/** Refusals of one moment share a write. */
const COLLECT_MILLIS = 200;
/** A message is for people; a record is at most about 1 KiB. */
const MESSAGE_CHARACTERS = 512;

/**
 * Puts on record, with its reason, each event that can never be taken, so that whoever relays it can go on without it: a dead letter. The event's data is
 * not kept, since a card number that strayed may be what is wrong with it; the sender has it under the event's id.
 */
export class IntakeRefusals {
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: IntakeMetrics;
  #waiting = new Map<string, string>();
  #writing: Promise<void> | undefined;

  constructor(options: {
    readonly client: KubeClient;
    /** The operator's own. */
    readonly namespace: string;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: IntakeMetrics;
  }) {
    this.#client = options.client;
    this.#namespace = options.namespace;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#metrics = options.metrics;
  }

  /** Resolves once it is on record; repeating it changes nothing. Rejects with the client's errors: then it is to come again. */
  async record(event: EventName, { reason, message }: IntakeRefused): Promise<void> {
    this.#metrics.refused.inc({ reason: known(reason) });
    this.#logger.error('an event was refused for good', { ...event, reason, message });
    const at = new Date(this.#clock.wall()).toISOString();
    const key = `refused-${sha256(canonicalJson([event.source, event.id, event.type, reason])).slice(0, 20)}`;
    this.#waiting.set(key, JSON.stringify({ at, ...event, reason, message: message.slice(0, MESSAGE_CHARACTERS) }));
    this.#writing ??= this.#write();
    await this.#writing;
  }

  async #write(): Promise<void> {
    await pause(this.#clock, COLLECT_MILLIS);
    const data = this.#waiting;
    this.#waiting = new Map();
    // Who came while this was being written waits for the next write.
    this.#writing = undefined;
    const answered = await this.#patch(Object.fromEntries([...data].slice(-KEPT)));
    const surplus = oldest(answered, KEPT);
    if (surplus.length > 0) await this.#patch(Object.fromEntries(surplus.map((key) => [key, null])));
  }

  /** A merge patch: several workers may write to it. @returns all that it holds now */
  async #patch(data: Readonly<Record<string, string | null>>): Promise<Readonly<Record<string, string>>> {
    const place = { namespace: this.#namespace, name: REFUSALS };
    try {
      return (await this.#client.patch(configMaps, place, { data })).data ?? {};
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    const labels = { 'mercato.dev/record': REFUSALS };
    try {
      const made = { metadata: { ...place, labels }, data: data as Record<string, string> };
      return (await this.#client.create(configMaps, made)).data ?? {};
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return (await this.#client.patch(configMaps, place, { data })).data ?? {};
    }
  }
}

/** The keys of all but the newest `kept` records. */
export function oldest(records: Readonly<Record<string, string>>, kept: number): string[] {
  const entries = Object.entries(records);
  if (entries.length <= kept) return [];
  // Each begins with its time: `{"at":"2026-...`.
  return entries
    .sort(([, a], [, b]) => (a < b ? -1 : 1))
    .slice(0, entries.length - kept)
    .map(([key]) => key);
}

/** A label must not grow with what strangers send. */
function known(reason: string): string {
  return /^[A-Z][A-Za-z]{0,39}$/.test(reason) ? reason : 'Other';
}
