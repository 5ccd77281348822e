import { deadLetterUrl, QueueUnfit } from './aws/dead-letters.ts';
import { Queue, sqsClient } from './aws/sqs.ts';
import { UsageError } from './flags.ts';
import { endWith, untilSignal } from './program.ts';
import { parseRedriveFlags, type RedriveFlags, USAGE } from './redrive/options.ts';
import { standingOf } from './redrive/orders.ts';
import { type Entry, redrive } from './redrive/redrive.ts';

/**
 * `node operator/src/redrive.ts`: shows intake's dead letters, and moves back those that are chosen (docs/tasks/redrive.md). Its exit code says whether all
 * that was chosen was moved.
 */
async function main(): Promise<number> {
  const flags = parseRedriveFlags(process.argv.slice(2));
  if (flags === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const client = sqsClient();
  try {
    const queue = new Queue(client, flags.queue);
    const url = flags.deadLetters ?? (await deadLetterUrl(client, queue));
    process.stdout.write(`${row(['RESULT', 'REASON', 'ORDER', 'EVENT', 'MADE', 'PUT ASIDE', 'WHY'])}\n`);
    const counts = await redrive({
      ...flags,
      queue,
      deadLetters: new Queue(client, url),
      standingOf: (orderId) => ask(flags, orderId),
      onEntry: (entry) => void process.stdout.write(`${row(cells(entry))}\n`),
      now: Date.now,
      signal: untilSignal(),
    });
    const told = Object.entries(counts).filter(([, count]) => count > 0);
    process.stdout.write(`${told.map(([result, count]) => `${count} ${result}`).join(', ') || 'no letters'}\n`);
    return counts.Failed + (flags.move ? counts.Unsure : 0) === 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof QueueUnfit) throw new UsageError(error.message);
    if (isOfSqs(error)) throw new UsageError(notReached(flags.queue, error));
    throw error;
  } finally {
    client.destroy();
  }
}

/** The SDK marks what came of its calls, those that reached nobody included. */
function isOfSqs(error: unknown): error is Error {
  return error instanceof Error && ('$metadata' in error || error.name === 'CredentialsProviderError');
}

function notReached(queue: string, { name, message }: Error): string {
  return `SQS could not be asked about ${queue}: ${name}: ${message}. Is the address right (--queue), and the region (AWS_REGION)? May this account call it? What was moved before stays moved; run it again.`;
}

async function ask({ orderService, tokenFile }: RedriveFlags, orderId: string): ReturnType<typeof standingOf> {
  if (orderService === undefined)
    return { standing: 'Untold', why: 'only the order service knows whether it is over: give --order-service' };
  return standingOf({ baseUrl: orderService, ...(tokenFile === undefined ? {} : { tokenFile }) }, orderId);
}

function cells({ letter, result, why }: Entry): string[] {
  const { reason, run, type, madeAt, putAsideAt } = letter;
  return [result, reason, run || letter.messageId, type || '-', time(madeAt), time(putAsideAt), why ?? letter.why];
}

function time(at: number | undefined): string {
  return at === undefined || Number.isNaN(at) ? '-' : new Date(at).toISOString().slice(0, 19);
}

const WIDTHS = [10, 18, 44, 34, 20, 20];

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join('  ');
}

endWith('mercato-redrive', main());
