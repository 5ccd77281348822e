import {
  type EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
  type PutEventsResponse,
} from '@aws-sdk/client-eventbridge';
import { type Clock, systemClock } from '../clock.ts';
import type { CloudEvent } from '../outbox/outbox.ts';
import { type ResendOptions, sendAll } from './batches.ts';

/**
 * An event as EventBridge has it: the CloudEvent whole as `detail`, its type as `detail-type`, its source as `source`, its time. So rules pick by type,
 * policies say who may send what, and whoever receives it finds the same CloudEvent that HTTP would have brought.
 */
export function busEntry(bus: string, event: CloudEvent): PutEventsRequestEntry {
  return {
    EventBusName: bus,
    Source: event.source,
    DetailType: event.type,
    Detail: JSON.stringify(event),
    Time: new Date(event.time),
  };
}

/** What an entry counts for: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html */
export function entryBytes({ Source = '', DetailType = '', Detail = '', Time }: PutEventsRequestEntry): number {
  const texts = Buffer.byteLength(Source) + Buffer.byteLength(DetailType) + Buffer.byteLength(Detail);
  return texts + (Time === undefined ? 0 : 14);
}

/**
 * Puts events on an EventBridge bus. Resolves once it has all of them; what it did not take is sent again, without what it did. A bus keeps no order and
 * may deliver twice: receivers go by the events' sequence.
 */
export class EventBusSender {
  readonly #client: EventBridgeClient;
  readonly #bus: string;
  readonly #resend: ResendOptions;

  /** @param bus its name or ARN */
  constructor(client: EventBridgeClient, bus: string, resend: Partial<ResendOptions> & { clock?: Clock } = {}) {
    this.#client = client;
    this.#bus = bus;
    this.#resend = { clock: systemClock, ...resend };
  }

  /** @throws NotTaken when some were not taken: it names them */
  send(events: readonly CloudEvent[]): Promise<void> {
    const entries = events.map((event) => busEntry(this.#bus, event));
    return sendAll(entries, entryBytes, (call) => this.#put(call), this.#resend);
  }

  async #put(Entries: readonly PutEventsRequestEntry[]): Promise<readonly (string | undefined)[]> {
    return failuresOf(await this.#client.send(new PutEventsCommand({ Entries: [...Entries] })));
  }
}

/** A reason for each entry that was not taken. */
export const failuresOf = ({ Entries = [] }: Pick<PutEventsResponse, 'Entries'>): readonly (string | undefined)[] =>
  Entries.map(({ ErrorCode, ErrorMessage }) => (ErrorCode === undefined ? undefined : `${ErrorCode}: ${ErrorMessage}`));
