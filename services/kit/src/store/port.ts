/** What a column can hold. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** Reading within one consistent view. */
export interface Reader {
  /** The first row; undefined when there is none. */
  get<Row>(sql: string, ...parameters: SqlValue[]): Row | undefined;
  all<Row>(sql: string, ...parameters: SqlValue[]): Row[];
}

/** One operation's share of a transaction. */
export interface Tx extends Reader {
  /** How many rows changed. */
  run(sql: string, ...parameters: SqlValue[]): number;
  /** Takes back everything this operation wrote so far; the operation goes on, and others in the same commit are not touched. */
  undo(): void;
  /** What the operations of this commit share under `make`, made by the first that asks. `make` is its name: the same function, the same thing. */
  shared<S extends Shared>(make: (tx: Tx) => S): S;
}

/**
 * Rows that many operations of one commit change: read once, and written once, at its end. Each operation sees what those before it left; one that
 * fails takes back its own part, and the others' stays. Until the commit's end, the rows themselves are older than what is shared.
 */
export interface Shared {
  /** The operation at hand has ended well. */
  keep(): void;
  /** Takes back what the operation at hand changed. */
  undo(): void;
  /**
   * Writes what has gathered, after the commit's last operation. When it throws, the commit fails as a whole.
   * @returns how many changes went into how many rows
   */
  flush(tx: Tx): Gathered;
}

/** How far sharing helped: so many changes were written as so many rows. */
export interface Gathered {
  /** Of what, for metrics: `stock`. */
  readonly of: string;
  readonly changes: number;
  readonly rows: number;
}

/**
 * Where a service keeps its rows.
 *
 * `transact` runs `work` alone (no other operation sees or makes changes meanwhile) and resolves only when what it wrote is on disk. When
 * `work` throws, what it wrote is taken back and the promise rejects with its error; when the commit fails, every operation of that
 * commit rejects with StoreError and nothing of it is stored.
 *
 * `work` is synchronous: a call to the outside can therefore never be made with a transaction or a row lock open (Saleor #11069).
 */
export interface Store {
  transact<R>(work: (tx: Tx) => R): Promise<R>;
  /** Reads committed rows. */
  read<R>(work: (reader: Reader) => R): Promise<R>;
  /** Finishes what was begun, then lets go of the file. */
  close(): Promise<void>;
}

/** The store could not commit: nothing of the operation is stored, and repeating it is safe. */
export class StoreError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
  }
}

/** Where a simulated process can die. Before `commit` nothing is stored, from `answer` on everything is, and nobody has been told. */
export type CrashPointName = 'effect' | 'record' | 'commit' | 'answer' | 'call';

/** Called at each crash point; to crash, it throws Crash. In production it is absent. */
export type CrashPoint = (point: CrashPointName) => void;

/** The simulated death of the process: whoever sees it must neither answer nor write any more. */
export class Crash extends Error {
  constructor(message = 'the process died here') {
    super(message);
    this.name = 'Crash';
  }
}
