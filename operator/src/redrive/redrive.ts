import type { Queue, Received } from '../aws/sqs.ts';
import { REDRIVEN } from '../intake/sqs-message.ts';
import { type DeadLetter, judge, readDeadLetter, type Standing } from './letter.ts';
import type { RedriveFlags } from './options.ts';

/** What became of a letter. */
export type Result =
  /** It stays: it was not chosen, or nothing was to be moved. */
  | 'Shown'
  | 'Moved'
  /** Its order has ended: it is deleted, as was asked for. */
  | 'Discarded'
  /** Its order has ended: it stays. */
  | 'Ended'
  /** Whether its order has ended is not known: it stays. */
  | 'Unsure'
  /** A queue did not take or give it: it stays, or comes twice, which is harmless. */
  | 'Failed';

/** A letter and what became of it. */
export interface Entry {
  readonly letter: DeadLetter;
  readonly result: Result;
  /** Where `result` needs one. */
  readonly why?: string;
}

export interface RedriveOptions
  extends Pick<RedriveFlags, 'selection' | 'move' | 'revive' | 'discardEnded' | 'limit' | 'rememberOrdersMs'> {
  readonly queue: Queue;
  readonly deadLetters: Queue;
  /** Asks about an order. */
  readonly standingOf: (orderId: string) => Promise<{ readonly standing: Standing; readonly why?: string }>;
  /** Told each letter, in the order in which they come. */
  readonly onEntry: (entry: Entry) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly signal?: AbortSignal;
}

/** How long letters that are looked at are invisible to others: a redrive that dies gives them back then. Seconds. */
const VISIBILITY = 600;
/** A dead-letter queue is read to its end; several empty answers in a row would only cost time. Seconds. */
const WAIT = 2;

/**
 * Goes through a dead-letter queue once, and moves back what was chosen: first into the queue, then away from here, so that a letter is rather there twice
 * than lost. Orders that were refused, or that intake may have forgotten, are asked about, and what has ended is not run again; nor what failed for its
 * customer when it was refused, unless it is to be revived. What is not moved lies there as before.
 */
export async function redrive(options: RedriveOptions): Promise<Readonly<Record<Result, number>>> {
  const { deadLetters, limit, onEntry, signal } = options;
  const counts: Record<Result, number> = { Shown: 0, Moved: 0, Discarded: 0, Ended: 0, Unsure: 0, Failed: 0 };
  const staying: string[] = [];
  let seen = 0;
  try {
    while (seen < limit && signal?.aborted !== true) {
      const max = Math.min(10, limit - seen);
      const messages = await deadLetters.receive({ visibility: VISIBILITY, wait: WAIT, max });
      if (messages.length === 0) break;
      seen += messages.length;
      staying.push(...messages.map(({ receipt }) => receipt));
      for (const entry of await Promise.all(messages.map((message) => dealWith(message, options)))) {
        counts[entry.result]++;
        onEntry(entry);
      }
    }
  } finally {
    // Those that were moved or deleted are not there any more, which does no harm.
    await Promise.allSettled(staying.map((receipt) => deadLetters.hide(receipt, 0)));
  }
  return counts;
}

async function dealWith(message: Received, options: RedriveOptions): Promise<Entry> {
  const letter = readDeadLetter(message);
  const now = options.now();
  const verdict = judge(letter, options.selection, now, options.rememberOrdersMs);
  if (verdict === 'NotChosen') return { letter, result: 'Shown' };
  if (verdict !== 'Move') {
    const { standing, why } = await options.standingOf(letter.orderId);
    const told = why === undefined ? {} : { why };
    // An old one may have failed by a run that intake has forgotten.
    const isRevived = options.revive && standing === 'Failed' && verdict === 'AskRefused';
    if (standing === 'Ended' || (standing === 'Failed' && !isRevived)) {
      if (!options.discardEnded) return { letter, result: 'Ended', ...told };
      return { letter, ...told, ...(await attempt('Discarded', () => remove(message, options))) };
    }
    if (standing !== 'Open' && !isRevived) return { letter, result: 'Unsure', ...told };
  }
  if (!options.move) return { letter, result: 'Shown' };
  const asked = verdict === 'AskOld' ? { [REDRIVEN]: new Date(now).toISOString() } : {};
  return { letter, ...(await attempt('Moved', () => moveBack(message, asked, options))) };
}

async function moveBack(message: Received, asked: Record<string, string>, options: RedriveOptions): Promise<void> {
  const { traceparent } = message.attributes;
  const attributes = { ...asked, ...(traceparent === undefined ? {} : { traceparent }) };
  const sent = await options.queue.send({ body: message.body, attributes });
  if (sent !== 'Done') throw new Error(`the queue did not take it: ${sent.code}: ${sent.message}`);
  await remove(message, options);
}

async function remove(message: Received, { deadLetters }: RedriveOptions): Promise<void> {
  const deleted = await deadLetters.delete(message.receipt);
  if (deleted !== 'Done') throw new Error(`it could not be deleted: ${deleted.code}: ${deleted.message}`);
}

async function attempt(result: Result, work: () => Promise<void>): Promise<Pick<Entry, 'result' | 'why'>> {
  try {
    await work();
    return { result };
  } catch (error) {
    return { result: 'Failed', why: error instanceof Error ? error.message : String(error) };
  }
}
