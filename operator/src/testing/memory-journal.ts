import {
  type Journal,
  type JournalRecord,
  JournalUnavailable,
  type Version,
  VersionConflict,
} from '../journals/journal.ts';
import { runKey } from '../saga/command.ts';
import type { GivenUp, Revision, RunId, RunState } from '../saga/types.ts';

/** What a write or a record does instead of its work: fail before it, or do it and lose the answer. */
export type Fault = 'refused' | 'answer lost';

/** A journal in memory that keeps the port's promises, and whose next calls a test can have fail. For tests of what depends on a journal. */
export class MemoryJournal implements Journal {
  readonly records = new Map<string, JournalRecord>();
  readonly exceptions: GivenUp[] = [];
  /** Every state that became durable, in order. */
  readonly written: RunState[] = [];
  /** How the next writes and exception records fail, in order; empty: they work. */
  readonly faults: Fault[] = [];
  /** Reads fail while this is true. */
  unreadable = false;
  readonly #revisions = new Map<string, Revision>();
  #version = 0;

  /** The object of a run is made. */
  create(id: RunId): Version {
    return this.put(id, { state: undefined });
  }

  /** Somebody writes the run. */
  put(id: RunId, record: { state: RunState | undefined } | { damaged: string }): Version {
    const version = String(++this.#version);
    this.records.set(runKey(id), { ...record, version } as JournalRecord);
    return version;
  }

  async read(id: RunId): Promise<JournalRecord | undefined> {
    if (this.unreadable) throw new JournalUnavailable('the test says so');
    return this.records.get(runKey(id));
  }

  async write(id: RunId, state: RunState, version: Version): Promise<Version> {
    const fault = this.faults.shift();
    if (fault === 'refused') throw new JournalUnavailable('the test says so');
    if (this.records.get(runKey(id))?.version !== version) throw new VersionConflict(`not at version ${version}`);
    const next = this.put(id, { state });
    this.written.push(state);
    if (fault === 'answer lost') throw new JournalUnavailable('the test lost the answer');
    return next;
  }

  async saveRevision(namespace: string, saga: string, revision: Revision): Promise<void> {
    this.#revisions.set(`${namespace}/${saga}/${revision.hash}`, revision);
  }

  async loadRevision(namespace: string, saga: string, hash: string): Promise<Revision | undefined> {
    return this.#revisions.get(`${namespace}/${saga}/${hash}`);
  }

  async recordException(_id: RunId, entry: GivenUp, _at: number): Promise<void> {
    const fault = this.faults.shift();
    if (fault === 'refused') throw new JournalUnavailable('the test says so');
    this.exceptions.push(entry);
    if (fault === 'answer lost') throw new JournalUnavailable('the test lost the answer');
  }
}
