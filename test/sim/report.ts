import type { JournalName } from './journals.ts';
import type { Outcome } from './world.ts';

/** What there is to say of a seed that failed: what is wrong, what went wrong before, and how to see it again. */
export function failureReport(outcome: Outcome): string {
  return [
    `seed ${outcome.seed} (${outcome.journal}) failed:`,
    ...outcome.problems.map((problem) => `  - ${problem}`),
    `  faults: ${outcome.faults}`,
    `  what struck last: ${outcome.struck.slice(-8).join('; ') || 'nothing'}`,
    `  play it again alone: make sim SEED=${outcome.seed}`,
  ].join('\n');
}

/** Counts how orders ended, over all seeds. */
export class Tally {
  readonly #ends = new Map<string, number>();
  readonly #started = performance.now();
  readonly #journals = new Map<JournalName, number>();
  #seeds = 0;
  #steps = 0;
  #failed = 0;

  add({ ends, steps, problems, journal }: Outcome): void {
    this.#seeds += 1;
    this.#journals.set(journal, (this.#journals.get(journal) ?? 0) + 1);
    this.#steps += steps;
    if (problems.length > 0) this.#failed += 1;
    for (const end of ends) this.#ends.set(end, (this.#ends.get(end) ?? 0) + 1);
  }

  get seeds(): number {
    return this.#seeds;
  }

  /** Seeds by their journal. */
  get journals(): ReadonlyMap<JournalName, number> {
    return this.#journals;
  }

  get ends(): ReadonlyMap<string, number> {
    return this.#ends;
  }

  /** `120 of 2000 seeds, 0 failed, 41.3 seeds/s` */
  progress(count: number): string {
    const seconds = (performance.now() - this.#started) / 1000;
    return `${this.#seeds} of ${count} seeds, ${this.#failed} failed, ${(this.#seeds / seconds).toFixed(1)} seeds/s`;
  }

  summary(): string {
    const ends = [...this.#ends].sort(([, a], [, b]) => b - a).map(([end, count]) => `${end} ${count}`);
    const journals = [...this.#journals].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`);
    const steps = Math.round(this.#steps / Math.max(1, this.#seeds));
    return `${steps} steps a seed; seeds: ${journals.join(', ')}; orders: ${ends.join(', ')}`;
  }
}
