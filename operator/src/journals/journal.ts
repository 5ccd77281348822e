import type { GivenUp, Revision, RunId, RunState } from '../saga/types.ts';

/** What a conditional write depends on; opaque to everyone but the journal. */
export type Version = string;

/** A run as its journal holds it. */
export type JournalRecord =
  | { readonly state: RunState; readonly version: Version }
  /** There is a run, and nothing has been written of it yet. */
  | { readonly state: undefined; readonly version: Version }
  /** Its checksum does not fit its content: somebody else wrote it. */
  | { readonly damaged: string; readonly version: Version }
  /** A worker that knows a newer format wrote it: it is that worker's. */
  | { readonly newer: string; readonly version: Version };

/**
 * Where runs live. One adapter a back end; all pass the same conformance test.
 *
 * A write that was refused or that failed leaves what was there. One whose answer was lost may have happened: the caller reads and compares.
 */
export interface Journal {
  /** @returns undefined when there is no such run (any more). @throws JournalUnavailable */
  read(id: RunId): Promise<JournalRecord | undefined>;
  /**
   * Makes the state durable, if nobody wrote the run since `version` (design rule 10). Resolves once it is durable.
   * @throws VersionConflict when somebody did, or the run is gone. @throws JournalUnavailable when it is not known whether it was written.
   */
  write(id: RunId, state: RunState, version: Version): Promise<Version>;
  /** Keeps a revision for as long as a run refers to it. Repeating it is harmless. @throws JournalUnavailable */
  saveRevision(namespace: string, saga: string, revision: Revision): Promise<void>;
  /** @throws JournalUnavailable */
  loadRevision(namespace: string, saga: string, hash: string): Promise<Revision | undefined>;
  /** Puts on record what a run gave up on. Repeating it is harmless. @throws JournalUnavailable */
  recordException(id: RunId, entry: GivenUp, at: number): Promise<void>;
}

/** Somebody else wrote the run since it was read, or it is gone. */
export class VersionConflict extends Error {
  override readonly name = 'VersionConflict';
}

/** The journal did not answer, or not usefully: whether a write happened is not known. */
export class JournalUnavailable extends Error {
  override readonly name = 'JournalUnavailable';
}
