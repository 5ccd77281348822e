import type { WrittenAnnouncement } from '../journals/worker-journal.ts';
import type { AnnouncedEvent } from './event.ts';

/** Somebody who is told what becomes of runs: one adapter for each way (HTTP, EventBridge). */
export interface Announce {
  /** For logs and metrics: no secrets. */
  readonly name: string;
  /** Resolves once they have all of them, in this order; rejects when it is not known that they do, and then they are sent again. Settles within 30 s. */
  send(events: readonly AnnouncedEvent[]): Promise<void>;
  close(): Promise<void>;
}

/** Where announcements wait until they are told. */
export interface Announcements {
  /** What was written and may not have been told yet, oldest first. Rejects with the journal's errors. */
  unannounced(limit: number): Promise<readonly WrittenAnnouncement[]>;
  /** These were told to all. Rejects with the journal's errors. */
  announced(receipts: readonly string[]): Promise<void>;
}
