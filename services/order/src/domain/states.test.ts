import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { customerEventTypes, sagaEventTypes } from './events.ts';
import { orderStates } from './states.ts';
import { transitionsTable } from './states-table.ts';

describe('docs/reference/order.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/reference/order.md'), 'utf8');

  it('has the table of transitions as it is', () => expect(page).to.contain(transitionsTable()));

  it('names all states and events', () => {
    for (const state of orderStates) expect(page).to.contain(`\`${state}\``);
    for (const type of [...sagaEventTypes, ...customerEventTypes])
      expect(page).to.contain(`\`${type.slice('dev.mercato.order.'.length)}\``);
  });

  it('names all settings that the service reads', () => {
    const source = readFileSync(join(import.meta.dirname, '../config.ts'), 'utf8');
    const settings = [...source.matchAll(/'(MERCATO_[A-Z_]+)'/g)].map(([, name]) => name!);
    expect(settings).to.have.length.greaterThan(5);
    for (const name of settings) expect(page).to.contain(`\`${name}\``);
  });
});
