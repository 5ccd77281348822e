import type { JsonObject } from '../json.ts';
import type { CommandKey, StepKey } from '../key.ts';
import type { Migrations } from '../store/migrations.ts';
import type { Reader, Tx } from '../store/port.ts';
import type { Instant } from '../units.ts';

/** The last attempt at a step's action, or at its compensation. */
export interface Attempt {
  readonly command: string;
  readonly fingerprint: string;
  readonly epoch: number;
  readonly state: 'inflight' | 'success' | 'failure';
  /** Success: the output. Failure: the problem. In flight: empty. */
  readonly answer: JsonObject;
  /** What an external command stored before it called out. */
  readonly intent?: JsonObject;
}

/** All that a participant remembers of one step of one run. It lives in the same database as the rows that the step changed. */
export interface StepRecord {
  readonly begun: Instant;
  /** Actions of epochs up to this one are refused; what they did is undone. 0: none. */
  readonly fence: number;
  readonly action?: Attempt;
  readonly compensation?: Attempt;
}

export const recordMigrations: Migrations = {
  component: 'kit.records',
  steps: [
    `CREATE TABLE saga_step (
       step_key TEXT PRIMARY KEY,
       begun INTEGER NOT NULL,
       fence INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
       action_command TEXT, action_fingerprint TEXT, action_epoch INTEGER,
       action_state TEXT CHECK (action_state IN ('inflight', 'success', 'failure')), action_answer TEXT, action_intent TEXT,
       compensation_command TEXT, compensation_fingerprint TEXT, compensation_epoch INTEGER,
       compensation_state TEXT CHECK (compensation_state IN ('inflight', 'success', 'failure')), compensation_answer TEXT,
       compensation_intent TEXT
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX saga_step_begun ON saga_step (begun);
     CREATE INDEX saga_step_inflight ON saga_step (step_key)
       WHERE action_state = 'inflight' OR compensation_state = 'inflight';
     CREATE TABLE saga_horizon (one INTEGER PRIMARY KEY CHECK (one = 1), swept INTEGER NOT NULL) STRICT;`,
  ],
};

interface Row {
  step_key: string;
  begun: number;
  fence: number;
  action_command: string | null;
  action_fingerprint: string;
  action_epoch: number;
  action_state: Attempt['state'];
  action_answer: string;
  action_intent: string | null;
  compensation_command: string | null;
  compensation_fingerprint: string;
  compensation_epoch: number;
  compensation_state: Attempt['state'];
  compensation_answer: string;
  compensation_intent: string | null;
}

function toRecord(row: Row): StepRecord {
  return {
    begun: row.begun as Instant,
    fence: row.fence,
    ...(row.action_command === null
      ? {}
      : {
          action: {
            command: row.action_command,
            fingerprint: row.action_fingerprint,
            epoch: row.action_epoch,
            state: row.action_state,
            answer: JSON.parse(row.action_answer) as JsonObject,
            ...(row.action_intent === null ? {} : { intent: JSON.parse(row.action_intent) as JsonObject }),
          },
        }),
    ...(row.compensation_command === null
      ? {}
      : {
          compensation: {
            command: row.compensation_command,
            fingerprint: row.compensation_fingerprint,
            epoch: row.compensation_epoch,
            state: row.compensation_state,
            answer: JSON.parse(row.compensation_answer) as JsonObject,
            ...(row.compensation_intent === null ? {} : { intent: JSON.parse(row.compensation_intent) as JsonObject }),
          },
        }),
  };
}

export function loadRecord(reader: Reader, key: StepKey): StepRecord | undefined {
  const row = reader.get<Row>('SELECT * FROM saga_step WHERE step_key = ?', key);
  return row === undefined ? undefined : toRecord(row);
}

/** Replaces what is remembered of the step's action; a new step is remembered from now on. */
export function saveAction(tx: Tx, key: StepKey, begun: Instant, attempt: Attempt): void {
  tx.run(
    `INSERT INTO saga_step (step_key, begun, action_command, action_fingerprint, action_epoch, action_state, action_answer, action_intent)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET action_command = excluded.action_command, action_fingerprint = excluded.action_fingerprint,
       action_epoch = excluded.action_epoch, action_state = excluded.action_state, action_answer = excluded.action_answer,
       action_intent = excluded.action_intent`,
    key,
    begun,
    attempt.command,
    attempt.fingerprint,
    attempt.epoch,
    attempt.state,
    JSON.stringify(attempt.answer),
    attempt.intent === undefined ? null : JSON.stringify(attempt.intent),
  );
}

/**
 * Replaces what is remembered of the step's compensation, and raises the fence to `fence` (never lowers it). An action in flight that is
 * now fenced is in flight no more: nobody may settle it as if it still counted.
 */
export function saveCompensation(tx: Tx, key: StepKey, begun: Instant, attempt: Attempt, fence: number): void {
  tx.run(
    `INSERT INTO saga_step (step_key, begun, fence, compensation_command, compensation_fingerprint, compensation_epoch,
       compensation_state, compensation_answer, compensation_intent)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET fence = max(fence, excluded.fence),
       action_state = iif(action_state = 'inflight' AND action_epoch <= excluded.fence, 'failure', action_state),
       compensation_command = excluded.compensation_command,
       compensation_fingerprint = excluded.compensation_fingerprint, compensation_epoch = excluded.compensation_epoch,
       compensation_state = excluded.compensation_state, compensation_answer = excluded.compensation_answer,
       compensation_intent = excluded.compensation_intent`,
    key,
    begun,
    fence,
    attempt.command,
    attempt.fingerprint,
    attempt.epoch,
    attempt.state,
    JSON.stringify(attempt.answer),
    attempt.intent === undefined ? null : JSON.stringify(attempt.intent),
  );
}

/** Steps that have something in flight, for recovery after a crash. */
export function inFlightSteps(reader: Reader): StepKey[] {
  return reader
    .all<{ step_key: StepKey }>(
      `SELECT step_key FROM saga_step WHERE action_state = 'inflight' OR compensation_state = 'inflight' ORDER BY step_key`,
    )
    .map((row) => row.step_key);
}

/** Everything remembered of one order's steps, by step name. */
export function recordsOfOrder(
  reader: Reader,
  order: Pick<CommandKey, 'namespace' | 'saga' | 'orderId'>,
): { step: string; record: StepRecord }[] {
  const prefix = `${order.namespace}/${order.saga}/${order.orderId}/`;
  return reader
    .all<Row>(
      'SELECT * FROM saga_step WHERE step_key >= ? AND step_key < ? ORDER BY step_key',
      prefix,
      `${prefix.slice(0, -1)}0`,
    )
    .map((row) => ({ step: row.step_key.slice(prefix.length), record: toRecord(row) }));
}

/** Runs that began before this moment may have been swept: their unknown keys get 410, whatever the clock says now. */
export const loadHorizon = (reader: Reader): Instant =>
  (reader.get<{ swept: number }>('SELECT swept FROM saga_horizon WHERE one = 1')?.swept ?? 0) as Instant;

/**
 * Forgets up to `limit` steps of runs that began before `until`, and remembers that it did: should the clock have been ahead, a late
 * action of a forgotten run is still refused. What is in flight stays.
 */
export function sweepRecords(tx: Tx, until: Instant, limit: number): number {
  tx.run('INSERT INTO saga_horizon VALUES (1, ?) ON CONFLICT DO UPDATE SET swept = max(swept, excluded.swept)', until);
  return tx.run(
    `DELETE FROM saga_step WHERE step_key IN (SELECT step_key FROM saga_step WHERE begun < ?
       AND coalesce(action_state, '') <> 'inflight' AND coalesce(compensation_state, '') <> 'inflight' LIMIT ?)`,
    until,
    limit,
  );
}
