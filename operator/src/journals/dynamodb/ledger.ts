import type { Announcement, WrittenAnnouncement } from '../worker-journal.ts';

/** Numbers announcements in the order in which one life writes them, from 1. */
export type Ticket = number;

interface Entry {
  readonly key: string;
  /** Not told yet, oldest first. */
  readonly announcements: readonly Announcement[];
}

/**
 * What this life has to announce: in memory, so that telling costs no call. A ticket is drawn before the write that it goes with; the watermark never
 * passes a ticket whose write may have happened and whose announcement was not told.
 */
export class Ledger {
  /** In the order of their tickets; without an entry where it is not known yet what, or whether, was written. */
  readonly #tickets = new Map<Ticket, Entry | undefined>();
  #next: Ticket = 1;

  /** All tickets below it are told, or were never written. */
  get watermark(): Ticket {
    for (const ticket of this.#tickets.keys()) return ticket;
    return this.#next;
  }

  /** Draws a ticket for something that is about to be written. */
  draw(): Ticket {
    const ticket = this.#next++;
    this.#tickets.set(ticket, undefined);
    return ticket;
  }

  /** What it was drawn for is written. */
  written(ticket: Ticket, key: string, announcements: readonly Announcement[]): void {
    if (announcements.length === 0) this.discard(ticket);
    else if (this.#tickets.has(ticket)) this.#tickets.set(ticket, { key, announcements });
  }

  /** One of them was told. A receipt that is not known, or no longer, changes nothing. */
  told(receipt: string): void {
    const [ticket = 0, sequence] = receipt.split('/').map(Number);
    const entry = this.#tickets.get(ticket);
    if (entry === undefined) return;
    const left = entry.announcements.filter((announcement) => announcement.sequence !== sequence);
    this.written(ticket, entry.key, left);
  }

  /** What it was drawn for is not written, and never will be. */
  discard(ticket: Ticket): void {
    this.#tickets.delete(ticket);
  }

  /** What is written and not told, oldest first. */
  untold(limit: number): WrittenAnnouncement[] {
    const found: WrittenAnnouncement[] = [];
    for (const [ticket, entry] of this.#tickets) {
      for (const announcement of entry?.announcements ?? []) {
        if (found.length >= limit) return found;
        found.push({ announcement, receipt: `${ticket}/${announcement.sequence}` });
      }
    }
    return found;
  }

  /** What of one run is not told yet, oldest first: its next announcement must not hide it. */
  untoldOf(key: string): Announcement[] {
    return [...this.#tickets.values()].flatMap((entry) => (entry?.key === key ? entry.announcements : []));
  }
}
