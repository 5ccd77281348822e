import { crc32 } from 'node:zlib';
import type { CommandKind, Delivery, RunId, RunInput, RunState, StepState } from '../../saga/types.ts';
import type { JournalRecord } from '../journal.ts';
import type { NewRun } from '../worker-journal.ts';
import type { Row } from './operations.ts';

/** Stands for how a state is written; a newer operator reads older ones. */
export const FORMAT = 1;

/** State, epoch, attempts, sends, due, error: in every write, so without their names. */
type PackedDelivery = readonly [string, number, number, number, number, Delivery<string>['error']?];
/** Name, action, compensation (0 where none was ever due), output, when it started and finished (0 where it has not). */
type PackedStep = readonly [string, PackedDelivery, PackedDelivery | 0, StepState['output'] | 0, number, number];
type PackedState = Omit<RunState, 'steps'> & { readonly steps: readonly PackedStep[] };

/** A state as text. Lossless: {@link unpack} gives it back. */
export function pack(state: RunState): string {
  const packed: PackedState = { ...state, steps: state.steps.map(packStep) };
  return JSON.stringify(packed);
}

/** @throws what JSON.parse throws, or TypeError, for a text that {@link pack} did not write */
export function unpack(text: string): RunState {
  const packed = JSON.parse(text) as PackedState;
  return { ...packed, steps: packed.steps.map(unpackStep) };
}

/** The checksum of what a row holds of a run: a text that was written for another run, or in another format, has another. */
export function checksum(key: string, format: number, text: string): number {
  return crc32(text, crc32(key, format));
}

/** What is kept of a run from its beginning: `run` and its checksum. Its id is the row's key, its trace the row's own column. */
export function packRun({ input, revision, createdAt }: NewRun): string {
  return JSON.stringify({ input, revision, createdAt });
}

/** What a row holds: the run, and its state or why that cannot be believed. Never throws: one row must not keep the journal from all others. */
export function readRow(row: Row): { readonly run: NewRun; readonly record: JournalRecord } {
  const id = idOf(row.key);
  const run = readRun(id, row);
  const version = String(row.version);
  return { run: run ?? nothingOf(id), record: { version, ...readState(row, run !== undefined) } as JournalRecord };
}

/** The id of a key that `runKey` made. */
export function idOf(key: string): RunId {
  const [namespace = '', saga = '', orderId = ''] = key.split('/');
  return { namespace, saga, orderId };
}

function readState(
  { key, format, state, crc }: Row,
  hasRun: boolean,
): { state: RunState | undefined } | { damaged: string } | { newer: string } {
  if (format !== null && format > FORMAT)
    return { newer: `the journal has format ${format}, this operator reads ${FORMAT}: run the newer operator again` };
  if (!hasRun) return { damaged: 'the row was edited: the checksum of what the run began with does not fit' };
  if (state === null) return { state: undefined };
  if (format === null || crc !== checksum(key, format, state))
    return {
      damaged: 'the row was edited: the checksum of its state does not fit; a person decides how the run goes on',
    };
  try {
    return { state: unpack(state) };
  } catch {
    // The checksum is no secret.
    return { damaged: 'the row was edited: its state cannot be read; a person decides how the run goes on' };
  }
}

function readRun(id: RunId, { key, run, run_crc, traceparent }: Row): NewRun | undefined {
  if (run_crc !== checksum(key, FORMAT, run)) return undefined;
  try {
    const begun = JSON.parse(run) as Pick<NewRun, 'input' | 'revision' | 'createdAt'>;
    return { id, ...begun, ...(traceparent === null ? {} : { traceparent }) };
  } catch {
    return undefined;
  }
}

/** Stands for what a run began with where that cannot be believed: nothing is sent for it before a person has looked. */
function nothingOf(id: RunId): NewRun {
  const input: RunInput = { customer: '', currency: '', lines: [], paymentToken: '', shipTo: {} };
  return { id, input, revision: '', createdAt: 0 };
}

function packStep({ name, action, compensation, output, startedAt, finishedAt }: StepState): PackedStep {
  return [
    name,
    packDelivery(action),
    isUntouched(compensation) ? 0 : packDelivery(compensation),
    output ?? 0,
    startedAt ?? 0,
    finishedAt ?? 0,
  ];
}

function packDelivery({ state, epoch, attempts, sends, due, error }: Delivery<string>): PackedDelivery {
  return error === undefined ? [state, epoch, attempts, sends, due] : [state, epoch, attempts, sends, due, error];
}

function isUntouched({
  state,
  epoch,
  attempts,
  sends,
  due,
  error,
}: StepState[Extract<CommandKind, 'compensation'>]): boolean {
  return state === 'None' && epoch === 1 && attempts === 0 && sends === 0 && due === 0 && error === undefined;
}

function unpackStep([name, action, compensation, output, startedAt, finishedAt]: PackedStep): StepState {
  return {
    name,
    action: unpackDelivery(action) as StepState['action'],
    compensation: unpackDelivery(compensation === 0 ? ['None', 1, 0, 0, 0] : compensation) as StepState['compensation'],
    ...(output === 0 ? {} : { output: output as NonNullable<StepState['output']> }),
    ...(startedAt === 0 ? {} : { startedAt }),
    ...(finishedAt === 0 ? {} : { finishedAt }),
  };
}

function unpackDelivery([state, epoch, attempts, sends, due, error]: PackedDelivery): Delivery<string> {
  return { state, epoch, attempts, sends, due, ...(error === undefined ? {} : { error }) };
}
