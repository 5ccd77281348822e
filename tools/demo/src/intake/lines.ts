/** One physical line of a file, without its end. Lines are counted from 1. */
export type SourceLine =
  | { readonly line: number; readonly text: string }
  | { readonly line: number; readonly fault: 'LineTooLong' | 'NotUtf8' };

/** Longer lines are skipped, not kept: no order line needs a tenth of it. In bytes. */
export const MAX_LINE_BYTES = 16 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Cuts bytes, in whatever pieces they come, into lines. Lines end in LF or CR LF; a last line without an end is a line too. A
 * UTF-8 byte order mark before the first line is dropped. A line that is no UTF-8 or too long costs itself only.
 */
export class LineSplitter {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #line = 1;
  #pieces: Buffer[] = [];
  #size = 0;

  /** The lines that end in this piece. */
  push(piece: Uint8Array): SourceLine[] {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const lines: SourceLine[] = [];
    let start = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
      this.#keep(bytes.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  /** The line that the end of the file ends, if there is one. */
  end(): SourceLine[] {
    return this.#size === 0 ? [] : [this.#take()];
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    // What exceeds the limit is counted and not held, or a file of one endless line would fill the memory.
    if (this.#size <= MAX_LINE_BYTES) this.#pieces.push(Buffer.from(bytes.subarray(0, MAX_LINE_BYTES + 2)));
    this.#size += bytes.length;
  }

  #take(): SourceLine {
    const line = this.#line++;
    let bytes = Buffer.concat(this.#pieces);
    const isTooLong = this.#size > MAX_LINE_BYTES;
    this.#pieces = [];
    this.#size = 0;
    if (isTooLong) return { line, fault: 'LineTooLong' };
    if (bytes.at(-1) === CR) bytes = bytes.subarray(0, -1);
    if (line === 1 && bytes.subarray(0, 3).equals(BOM)) bytes = bytes.subarray(3);
    try {
      return { line, text: this.#decoder.decode(bytes) };
    } catch {
      return { line, fault: 'NotUtf8' };
    }
  }
}
