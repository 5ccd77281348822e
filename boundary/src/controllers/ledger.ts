import type { PciBoundary } from '@mercato/operator/api/pciboundary.ts';

/** Why a boundary cannot be kept as it is declared. */
export interface Problem {
  /** The reason of the condition Accepted. */
  readonly reason: 'NamespaceNotFound' | 'NamespaceNotLabelled' | 'NamespaceTaken' | 'WriteRefused' | 'WriteFailed';
  readonly message: string;
}

/** How a boundary's policies stand. */
export interface Standing {
  /** The generation of spec whose policies all stand; undefined while some do not. */
  readonly generation: number | undefined;
  readonly problems: readonly Problem[];
}

interface Entry {
  standing: Standing | undefined;
  unwritten: number;
  lastReverted: number | undefined;
}

/**
 * What the controller that writes policies tells the one that writes statuses: both look after the same objects, and the first must never wait for the
 * second. Entries are by uid, so that a boundary that was made anew begins anew.
 */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners: ((name: string) => void)[] = [];

  /** Calls `listener` with the name of a boundary about which something was noted. */
  onChange(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }

  /** All that could be done for the boundary's policies was done. */
  settled({ metadata }: PciBoundary, standing: Standing): void {
    const entry = this.#entry(metadata.uid);
    const before = entry.standing;
    entry.standing = standing;
    if (
      before === undefined ||
      before.generation !== standing.generation ||
      !sameProblems(before.problems, standing.problems)
    )
      this.#tell(metadata.name);
  }

  /** A policy was put back. @param at the wall clock */
  reverted({ metadata }: PciBoundary, at: number): void {
    const entry = this.#entry(metadata.uid);
    entry.unwritten++;
    entry.lastReverted = at;
    this.#tell(metadata.name);
  }

  /** How its policies stand; undefined before the first look. */
  standingOf({ metadata }: PciBoundary): Standing | undefined {
    return this.#entries.get(metadata.uid ?? '')?.standing;
  }

  /** What was put back and is in no status yet. */
  unwrittenOf({ metadata }: PciBoundary): { readonly reverts: number; readonly last: number | undefined } {
    const entry = this.#entries.get(metadata.uid ?? '');
    return { reverts: entry?.unwritten ?? 0, last: entry?.lastReverted };
  }

  /** So many of what was put back are in the status now. */
  written({ metadata }: PciBoundary, reverts: number): void {
    this.#entry(metadata.uid).unwritten -= reverts;
  }

  /** Forgets boundaries of other uids than these. */
  keepOnly(uids: ReadonlySet<string>): void {
    for (const uid of this.#entries.keys()) if (!uids.has(uid)) this.#entries.delete(uid);
  }

  #entry(uid = ''): Entry {
    let entry = this.#entries.get(uid);
    if (entry === undefined) {
      entry = { standing: undefined, unwritten: 0, lastReverted: undefined };
      this.#entries.set(uid, entry);
    }
    return entry;
  }

  #tell(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }
}

function sameProblems(a: readonly Problem[], b: readonly Problem[]): boolean {
  return a.length === b.length && a.every((problem, index) => problem.message === b[index]?.message);
}
