import { runKey } from '../../saga/command.ts';
import type { RunId, RunState } from '../../saga/types.ts';
import { announcementOf, type WrittenAnnouncement } from '../worker-journal.ts';

/** Told ends that are remembered; one that is forgotten is told again, and dropped by its sequence. */
const REMEMBERED = 500_000;

/**
 * What is to be told of runs whose truth is their object: a status has no outbox, so what waits to be told waits here. After a crash, who takes a run over
 * finds it again by its object, which is kept until its end was told; what had been told already is told twice, and dropped by its sequence.
 */
export class KubernetesAnnouncements {
  readonly #waiting = new Map<string, WrittenAnnouncement & { readonly run: string; readonly isEnd: boolean }>();
  /** Runs of which something waits to be told, and how much. */
  readonly #runs = new Map<string, number>();
  /** Runs whose end was told. */
  readonly #told = new Set<string>();
  readonly #wall: () => number;
  #woken: () => void = () => undefined;

  /** @param wall Unix milliseconds */
  constructor(wall: () => number) {
    this.#wall = wall;
  }

  /** Calls `wake` when there is something new to tell. */
  onNews(wake: () => void): void {
    this.#woken = wake;
  }

  /** A durable state, of which there may be something to tell. Noting the same again changes nothing until it was told. */
  note(id: RunId, state: RunState, traceparent?: string): void {
    const at = state.finishedAt ?? state.hold?.since ?? this.#wall();
    const announcement = announcementOf(id, state, at, traceparent);
    if (announcement === undefined) return;
    const run = runKey(id);
    const receipt = `${run}/${announcement.sequence}`;
    if (this.#waiting.has(receipt)) return;
    this.#waiting.set(receipt, { announcement, receipt, run, isEnd: state.ended !== undefined });
    this.#runs.set(run, (this.#runs.get(run) ?? 0) + 1);
    this.#woken();
  }

  /** Whether a run's end was told, as far as this process knows; `Unknown` where it never heard of it. */
  endOf(id: RunId): 'Told' | 'Waiting' | 'Unknown' {
    const run = runKey(id);
    if (this.#told.has(run)) return 'Told';
    return this.#runs.has(run) ? 'Waiting' : 'Unknown';
  }

  /** There is nothing (more) to tell of the run's end: its object cannot be read, or is gone. */
  settle(id: RunId): void {
    if (this.#told.size >= REMEMBERED) this.#told.delete(this.#told.values().next().value as string);
    this.#told.add(runKey(id));
  }

  /** The run's object is gone. */
  forget(id: RunId): void {
    this.#told.delete(runKey(id));
  }

  async unannounced(limit: number): Promise<readonly WrittenAnnouncement[]> {
    return this.#waiting.values().take(limit).toArray();
  }

  async announced(receipts: readonly string[]): Promise<void> {
    for (const receipt of receipts) {
      const told = this.#waiting.get(receipt);
      if (told === undefined) continue;
      this.#waiting.delete(receipt);
      const left = (this.#runs.get(told.run) ?? 1) - 1;
      if (left === 0) this.#runs.delete(told.run);
      else this.#runs.set(told.run, left);
      if (told.isEnd) this.settle(told.announcement.id);
    }
  }
}
