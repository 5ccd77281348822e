import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { mercato } from '../model/mercato.ts';
import { BURN_WINDOWS, HOURS } from './budget.ts';

describe('The page about objectives', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/concepts/objectives.md'), 'utf8');
  /** Rows of the page's tables, as cells. */
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()));

  it('says what the model promises, for each service', () => {
    const written = rows
      .filter(([, name, available]) => name?.startsWith('`') && available?.endsWith('%'))
      .map((row) => row.slice(1, 5));
    const promised = mercato.services
      .filter(({ component, partOf }) => component !== 'simulator' && partOf === undefined)
      .map(({ name, objective: { availability, latency, throughput } }) => [
        `\`${name}\``,
        `${availability}%`,
        `${latency.percent}% within ${latency.milliseconds} ms`,
        `${throughput} a second`,
      ]);
    expect(written).to.have.deep.members(promised);
  });

  it('says when alerts fire', () => {
    const written = rows
      .filter(([, severity]) => severity === 'page' || severity === 'ticket')
      .map(([, severity, percent, , factor]) => `${severity} ${percent} ${factor}`);
    expect(written).to.deep.equal(
      BURN_WINDOWS.map(({ severity, budgetPercent, factor }) => `${severity} ${budgetPercent}% ${factor}`),
    );
    const minutes = (percent: number) => Math.round(((100 - percent) / 100) * HOURS['30d'] * 60);
    expect(page)
      .to.include(`as much as ${minutes(99.9)} minutes`)
      .and.to.include(`99.95% leaves ${minutes(99.95)}.`);
  });
});
