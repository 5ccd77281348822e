import { readFileSync } from 'node:fs';

/**
 * Loaded before a program (`node --import`), in each of its threads: its wall clock is off by as many milliseconds as the file says that
 * MERCATO_FAULT_CLOCK names. The monotonic clock goes as it should, as on a machine whose date somebody set wrongly.
 */
const file = process.env['MERCATO_FAULT_CLOCK'];
if (file === undefined) throw new Error('MERCATO_FAULT_CLOCK: name the file that says how far the clock is off');
const offset = Number(readFileSync(file, 'utf8'));
if (!Number.isSafeInteger(offset)) throw new Error(`${file}: milliseconds, as a whole number`);

const Right = Date;

class Wrong extends Right {
  constructor(...args: readonly unknown[]) {
    super(...((args.length === 0 ? [Right.now() + offset] : args) as [number]));
  }

  static override now(): number {
    return Right.now() + offset;
  }
}

globalThis.Date = Wrong as DateConstructor;
