import { mkdir, writeFile } from 'node:fs/promises';

/** One measured figure. `goal` is a comparison, as `>= 0.7`; without one the figure is for reading. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal?: string;
}

/** Whether a figure reaches its goal; true where it has none. @throws RangeError for a goal that is no comparison. */
export function reaches({ value, goal }: Figure): boolean {
  if (goal === undefined) return true;
  const match = /^(>=|<=|<|>) *([0-9.]+)$/.exec(goal);
  if (match === null) throw new RangeError(`goal ${goal}: write a comparison and a number, as ">= 0.7"`);
  const limit = Number(match[2]);
  switch (match[1]) {
    case '>=':
      return value >= limit;
    case '<=':
      return value <= limit;
    case '<':
      return value < limit;
    default:
      return value > limit;
  }
}

/** A table of figures, as text. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    figure.value.toLocaleString('en-GB', { maximumSignificantDigits: 4 }),
    figure.unit,
    figure.goal ?? '',
    figure.goal === undefined ? '' : reaches(figure) ? 'reached' : 'MISSED',
  ]);
  const head = ['figure', 'value', 'unit', 'goal', ''];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] as string).length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 1 ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number),
      )
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** Writes `bench/out/<name>.json`. */
export async function save(name: string, figures: readonly Figure[]): Promise<void> {
  const directory = new URL('./out/', import.meta.url);
  await mkdir(directory, { recursive: true });
  await writeFile(new URL(`${name}.json`, directory), `${JSON.stringify(figures, null, 2)}\n`);
}

/** The value below which `percent` of the samples lie (nearest rank). NaN without samples. */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 50);
}
