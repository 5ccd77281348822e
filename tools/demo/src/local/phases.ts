/** One phase of a start and how long it took, in milliseconds. Phases may overlap. */
export interface Phase {
  readonly name: string;
  readonly startedMs: number;
  readonly tookMs: number;
}

/** Measures the phases of a start, and says each as it ends. */
export class Phases {
  readonly #began = performance.now();
  readonly #say: (line: string) => void;
  readonly done: Phase[] = [];

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** Milliseconds since this was made. */
  get elapsedMs(): number {
    return performance.now() - this.#began;
  }

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedMs = this.elapsedMs;
    const result = await work();
    const tookMs = this.elapsedMs - startedMs;
    this.done.push({ name, startedMs, tookMs });
    this.#say(`  ${inSeconds(startedMs + tookMs)}  ${name} (${inSeconds(tookMs).trim()})`);
    return result;
  }
}

/** As `  3.2 s`. */
export function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`;
}
