import { Type } from '@sinclair/typebox';
import { expect } from 'chai';
import { localCommand, success } from '../participant/command.ts';
import { Participant } from '../participant/participant.ts';
import { recordMigrations } from '../participant/record.ts';
import { ProblemError } from '../problem.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { listingRoutes } from './admin.ts';

const shelves = ['oak', 'pine', 'elm'];
const empty = Type.Object({});

describe('the listing of a participant', () => {
  const store = new SqliteStore(openDatabase(':memory:'), { migrations: [recordMigrations] });
  const [all, one] = listingRoutes<string>({
    store,
    path: '/shelves',
    name: 'shelves',
    item: Type.String(),
    view: (row) => row.toUpperCase(),
    from: (_reader, cursor, limit) => {
      const rows = shelves.slice(cursor, cursor + limit);
      return { rows, next: cursor + rows.length };
    },
    ofOrder: (_reader, { orderId }) => (orderId === 'a' ? ['oak'] : []),
  });
  const caller = { subject: 'anybody' };
  const ask = (orderId: string) =>
    one!.handle({ params: { namespace: 'shop', saga: 'checkout', orderId }, query: {}, body: undefined, caller });

  it('goes through all rows from a cursor', async () => {
    const page = (query: object) => all!.handle({ params: {}, query, body: undefined, caller });
    expect(await page({ limit: 2 })).to.deep.equal({ items: ['OAK', 'PINE'], next: 2 });
    expect(await page({ cursor: 2 })).to.deep.equal({ items: ['ELM'], next: 3 });
  });

  it('shows an order that has rows, or of which a step is remembered, and no other', async () => {
    expect(await ask('a')).to.deep.equal({ shelves: ['OAK'], steps: [] });
    const failure = await ask('b').catch((error: unknown) => error);
    expect((failure as ProblemError).problem).to.include({ status: 404, reason: 'OrderUnknown' });
    expect(failure).to.be.instanceOf(ProblemError);

    const saw = localCommand({
      name: 'saw',
      kind: 'action',
      reasons: [],
      input: empty,
      output: empty,
      carryOut: () => success({}),
    });
    const begun = new Date().toISOString();
    const key = 'shop/checkout/b/step/action';
    await new Participant({ store, commands: [saw] }).execute({ command: 'saw', key, epoch: 1, begun, body: {} });
    const { steps } = (await ask('b')) as { steps: { step: string }[] };
    expect(steps.map(({ step }) => step)).to.deep.equal(['step']);
  });
});
