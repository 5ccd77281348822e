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
export const KEPT = 200;
/** Refusals of one moment share a write. */
const COLLECT_MILLIS = 200;
/**
 * What a record keeps of each field, in bytes. An API server takes 1 MiB of a ConfigMap, and for a moment it holds twice what stays: a record that it does not take
 * would have its event come again for ever, and all behind it wait.
 */
const BYTES = { id: 200, source: 100, type: 100, subject: 100, message: 512 } as const;

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
    const text = recordOf(at, event, { reason: known(reason), message });
    const key = `refused-${sha256(canonicalJson([event.source, event.id, event.type, reason])).slice(0, 20)}`;
    this.#waiting.set(key, text);
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

/** A record as its ConfigMap has it, of bounded size whatever strangers call their events. @param at RFC 3339 */
export function recordOf(
  at: string,
  event: EventName,
  why: { readonly reason: string; readonly message: string },
): string {
  const { id, source, type, subject } = event;
  const texts = { id, source, type, subject, message: why.message };
  const kept = Object.entries(BYTES).map(([field, bytes]) => [field, cut(texts[field as keyof typeof BYTES], bytes)]);
  return JSON.stringify({ at, reason: why.reason, ...Object.fromEntries(kept) });
}

/** Without what JSON writes in six bytes: control characters and halves of characters. */
function cut(text: string, bytes: number): string {
  const plain = text.replaceAll(/\p{Cc}/gu, ' ').toWellFormed();
  const whole = Buffer.from(plain);
  if (whole.length <= bytes) return plain;
  // A character that was cut in two is one that cannot be read.
  return `${whole
    .subarray(0, bytes - 3)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}…`;
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
