import { type Intake, OrderCollector } from './collect.ts';
import { LineSplitter, type SourceLine } from './lines.ts';
import { COLUMNS, RecordReader, type SourceRecord } from './records.ts';

/** A file that cannot be read as orders at all; the message says what to do. Single bad lines never cause it. */
export class OrdersFileError extends Error {
  override readonly name = 'OrdersFileError';
}

/** More lines than one play can hold in memory. */
export const MAX_LINES = 1_000_000;

/**
 * Reads the orders of a CSV file. Each line after the header ends in exactly one place: in the `refs` of one order's line, or in
 * the report with the reason why not. A broken line never stops the rest.
 *
 * @param source the file's bytes, in pieces of any size
 * @throws OrdersFileError when the first line does not name the columns, or the file is too long
 */
export async function readOrders(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Intake> {
  const reading = new Reading();
  for await (const piece of source) reading.push(piece);
  return reading.end();
}

/** As readOrders, for a text that is at hand. */
export function parseOrders(text: string): Intake {
  const reading = new Reading();
  reading.push(Buffer.from(text));
  return reading.end();
}

class Reading {
  readonly #splitter = new LineSplitter();
  readonly #records = new RecordReader();
  readonly #collector = new OrderCollector();
  #lines = 0;

  push(piece: Uint8Array): void {
    for (const line of this.#splitter.push(piece)) this.#take(line);
  }

  end(): Intake {
    for (const line of this.#splitter.end()) this.#take(line);
    if (this.#lines === 0) throw new OrdersFileError('the file is empty: its first line names the columns');
    this.#add(this.#records.end());
    return this.#collector.end();
  }

  #take(line: SourceLine): void {
    this.#lines += 1;
    if (this.#lines === 1) return checkHeader(line);
    if (this.#lines > MAX_LINES) throw new OrdersFileError(`the file has more than ${MAX_LINES} lines: split it`);
    this.#add(this.#records.push(line));
  }

  #add(records: readonly SourceRecord[]): void {
    for (const record of records) this.#collector.add(record);
  }
}

function checkHeader(line: SourceLine): void {
  const header = 'text' in line ? line.text.split(',').map((name) => name.trim().replace(/^"(.*)"$/, '$1')) : [];
  if (header.length === COLUMNS.length && COLUMNS.every((name, i) => name === header[i])) return;
  const found = 'text' in line ? JSON.stringify(line.text.slice(0, 120)) : 'no UTF-8 text';
  throw new OrdersFileError(`line 1 must name the columns ${COLUMNS.join(',')}; it is ${found}`);
}
