/** What the benchmark of the dynamodb journal asks of a worker process. */
export interface Task {
  /** `journal`: runs, driven by the runner. `raw`: the very calls that a run makes, in a bare loop. */
  readonly mode: 'journal' | 'raw';
  /** Order ids begin with it. */
  readonly prefix: string;
  readonly runs: number;
  /** Runs under way at a time. */
  readonly inFlight: number;
}

/** What it answers. */
export interface Outcome {
  /** Calls to DynamoDB, those that tell that it lives included. */
  readonly calls: number;
  /** Calls for runs, their creation not included. */
  readonly writes: number;
  /** Seconds of processor time. */
  readonly cpu: number;
}
