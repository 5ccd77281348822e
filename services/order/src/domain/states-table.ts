import { orderStates, orderTriggers, transitions } from './states.ts';

/** The table of transitions as Markdown, for docs/reference/order.md: a row for each state, a column for each trigger; empty is refused. */
export function transitionsTable(): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    row(['in', ...orderTriggers]),
    row(Array<string>(orderTriggers.length + 1).fill('---')),
    ...orderStates.map((state) => row([state, ...orderTriggers.map((trigger) => transitions[state][trigger] ?? '')])),
  ].join('\n');
}
