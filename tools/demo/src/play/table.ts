import { PHASES, type Tally } from './tally.ts';

/** The live table of a play, as lines of text for a terminal. @param elapsedMs since the play began */
export function tableOf(seen: Tally, elapsedMs: number): string[] {
  const part = seen.planned === 0 ? 1 : seen.settled / (seen.planned - seen.refused || 1);
  const rows = PHASES.map((phase) => {
    const count = seen.phases[phase];
    return `  ${phase.padEnd(13)}${String(count).padStart(6)}  ${bar(count, seen.planned)}`;
  });
  return [
    `  ${clock(elapsedMs)}  ${gauge(part)}  ${seen.settled} of ${seen.planned} orders settled, ${seen.accepted} accepted`,
    ...rows,
    `  ${seen.perSecond.toFixed(0).padStart(4)} runs/s   from order to end: p50 ${millis(seen.p50Ms)}, p99 ${millis(seen.p99Ms)}`,
  ];
}

/** The same in one line, for logs and pipes. */
export function lineOf(seen: Tally, elapsedMs: number): string {
  const counts = PHASES.filter((phase) => seen.phases[phase] > 0).map((phase) => `${phase} ${seen.phases[phase]}`);
  return `  ${clock(elapsedMs)}  ${seen.settled}/${seen.planned} settled  ${counts.join(', ') || 'nothing yet'}  ${seen.perSecond.toFixed(0)}/s  p50 ${millis(seen.p50Ms)}  p99 ${millis(seen.p99Ms)}`;
}

const BAR_WIDTH = 40;

function bar(count: number, of: number): string {
  if (count === 0 || of === 0) return '';
  return '█'.repeat(Math.max(1, Math.round((count / of) * BAR_WIDTH)));
}

function gauge(part: number): string {
  const full = Math.max(0, Math.min(20, Math.round(part * 20)));
  return `[${'='.repeat(full)}${' '.repeat(20 - full)}]`;
}

/** As `0:07`. */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** As `84 ms` or `2.3 s`. */
export function millis(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Where text is shown: a terminal that can be drawn over, or a log. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 200;
const LINE_MS = 2_000;

/**
 * Shows a text that changes: redrawn in place on a terminal, five times a second; elsewhere a plain line every two seconds.
 * Answers the function that shows the last state and ends it.
 */
export function showLive(screen: Screen, table: () => string[], line: () => string): () => void {
  const isTTY = screen.isTTY === true;
  let drawn = 0;
  const draw = () => {
    if (!isTTY) return void screen.write(`${line()}\n`);
    // Cut to the width: a line that wraps would be two when the cursor goes up.
    const lines = table().map((text) => text.slice(0, (screen.columns ?? 100) - 1));
    const up = drawn === 0 ? '' : `\u001b[${drawn}A`;
    screen.write(`${up}${lines.map((text) => `\u001b[2K${text}\n`).join('')}`);
    drawn = lines.length;
  };
  draw();
  const timer = setInterval(draw, isTTY ? REDRAW_MS : LINE_MS);
  return () => {
    clearInterval(timer);
    draw();
  };
}
