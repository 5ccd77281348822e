import { parse } from 'csv-parse/sync';
import type { SourceLine } from './lines.ts';

/** The columns of an orders file, in this order; the first line names them. */
export const COLUMNS = [
  'InvoiceNo',
  'StockCode',
  'Description',
  'Quantity',
  'InvoiceDate',
  'UnitPrice',
  'CustomerID',
  'Country',
] as const;

/** The fields of one record by column, as they are in the file. */
export type Fields = Readonly<Record<(typeof COLUMNS)[number], string>>;

/** Why a line is no record. */
export type RecordFault = 'LineTooLong' | 'NotUtf8' | 'BrokenQuotes' | 'WrongColumns' | 'BlankLine';

/** A record, or a line that is none. `lines` has more than one entry when a quoted field has line ends in it. */
export type SourceRecord =
  | { readonly lines: readonly number[]; readonly fields: Fields }
  | { readonly lines: readonly number[]; readonly fault: RecordFault; readonly detail: string };

/** A quote that nothing closes within so many lines is a broken one. */
const MAX_RECORD_LINES = 8;

type Parsed =
  | { readonly kind: 'values'; readonly values: readonly string[] }
  | { readonly kind: 'open' }
  | { readonly kind: 'broken'; readonly detail: string };

interface TextLine {
  readonly line: number;
  readonly text: string;
}

/**
 * Makes records of lines (RFC 4180). A quoted field may go over line ends, but a quote that is never closed must not swallow the
 * rest of the file: a line that would be a record by itself, and the eighth line, end the attempt, and only the line with
 * the quote is broken. Every line comes out exactly once.
 */
export class RecordReader {
  /** Lines of a record whose quote is still open. */
  #open: TextLine[] = [];

  /** The records, and faulty lines, that this line decides. */
  push(source: SourceLine): SourceRecord[] {
    if ('fault' in source) return [...this.end(), { lines: [source.line], fault: source.fault, detail: '' }];
    return this.#open.length === 0 ? this.#begin(source) : this.#continue(source);
  }

  /** What is left at the end of the file. */
  end(): SourceRecord[] {
    const out: SourceRecord[] = [];
    while (this.#open.length > 0) out.push(...this.#giveUp());
    return out;
  }

  #begin(line: TextLine): SourceRecord[] {
    if (line.text.trim() === '') return [{ lines: [line.line], fault: 'BlankLine', detail: '' }];
    const parsed = parseText(line.text);
    if (parsed.kind === 'open') {
      this.#open = [line];
      return [];
    }
    return [recordOf([line.line], parsed)];
  }

  #continue(line: TextLine): SourceRecord[] {
    const alone = parseText(line.text);
    if (alone.kind === 'values' && alone.values.length === COLUMNS.length) return [...this.end(), ...this.#begin(line)];
    const lines = [...this.#open, line];
    const parsed = parseText(lines.map(({ text }) => text).join('\n'));
    if (parsed.kind === 'values') {
      this.#open = [];
      return [
        recordOf(
          lines.map((each) => each.line),
          parsed,
        ),
      ];
    }
    this.#open = lines;
    return parsed.kind === 'broken' || lines.length >= MAX_RECORD_LINES ? this.#giveUp() : [];
  }

  /** The first open line is broken; those after it are looked at anew, and may open a record of their own. */
  #giveUp(): SourceRecord[] {
    const [first, ...rest] = this.#open as [TextLine, ...TextLine[]];
    this.#open = [];
    const broken = { lines: [first.line], fault: 'BrokenQuotes', detail: 'a quote is opened and not closed' } as const;
    return [broken, ...rest.flatMap((line) => this.push(line))];
  }
}

function recordOf(lines: readonly number[], parsed: Exclude<Parsed, { kind: 'open' }>): SourceRecord {
  if (parsed.kind === 'broken') return { lines, fault: 'BrokenQuotes', detail: parsed.detail };
  const { values } = parsed;
  if (values.length !== COLUMNS.length)
    return { lines, fault: 'WrongColumns', detail: `it has ${values.length} columns instead of ${COLUMNS.length}` };
  return { lines, fields: Object.fromEntries(COLUMNS.map((name, i) => [name, values[i]!.trim()])) as Fields };
}

/** The values of one record's text. A text without quotes needs no parser, and nine in ten lines have none. */
function parseText(text: string): Parsed {
  if (!text.includes('"')) return { kind: 'values', values: text.split(',') };
  try {
    const rows = parse(text, { record_delimiter: RECORD_END, relax_column_count: true }) as string[][];
    return { kind: 'values', values: rows[0] ?? [] };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code === 'CSV_QUOTE_NOT_CLOSED') return { kind: 'open' };
    return { kind: 'broken', detail: message };
  }
}

/** Lines are cut before they are parsed, so nothing in the text may end a record. This cannot occur: it holds a line end of its own kind. */
const RECORD_END = '\r\n\u0000\r\n';
