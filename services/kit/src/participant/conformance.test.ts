import { join } from 'node:path';
import { sharedElasticMq } from '@mercato/aws-emulators/testing.ts';
import { Type } from '@sinclair/typebox';
import { type ConformancePorts, describeParticipant } from '../conformance.ts';
import { route } from '../http/route.ts';
import { createLogger } from '../log.ts';
import { outboxMigrations } from '../outbox/outbox.ts';
import { startService } from '../service.ts';
import type { Migrations } from '../store/migrations.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import type { TestClient } from '../testing/client.ts';
import { milliseconds } from '../units.ts';
import { accepted, type Command, call, externalCommand, failure, localCommand, success } from './command.ts';
import { Participant } from './participant.ts';
import { recordMigrations } from './record.ts';

const seatMigrations: Migrations = {
  component: 'seats',
  steps: [
    'CREATE TABLE seat (action_key TEXT, order_id TEXT) STRICT; CREATE TABLE hall (seats INTEGER) STRICT; INSERT INTO hall VALUES (5)',
  ],
};
const input = Type.Object({ row: Type.String(), seats: Type.Integer({ minimum: 1 }) });

/** The smallest participant whose effect is its own rows. */
const bookLocally: Command[] = [
  localCommand({
    name: 'book',
    kind: 'action',
    reasons: ['Full'],
    input,
    output: Type.Object({ row: Type.String() }),
    carryOut(tx, { actionKey, orderId }, { row, seats }) {
      tx.run('INSERT INTO seat VALUES (?, ?)', actionKey, orderId);
      if (seats > tx.get<{ seats: number }>('SELECT seats FROM hall')!.seats)
        return failure('Full', 'no seats are left');
      return success({ row });
    },
  }),
  localCommand({
    name: 'unbook',
    kind: 'compensation',
    undoes: ['book'],
    reasons: [],
    input,
    output: Type.Object({ freed: Type.Integer() }),
    carryOut: (tx, { actionKey }) => success({ freed: tx.run('DELETE FROM seat WHERE action_key = ?', actionKey) }),
  }),
];

/** As above, but it takes its time: the first call only begins. */
const bookSlowly: Command[] = [
  localCommand({
    name: 'book',
    kind: 'action',
    reasons: ['Full'],
    input,
    output: Type.Object({ row: Type.String() }),
    carryOut(tx, { actionKey, orderId, resumed }, { row, seats }) {
      if (seats > tx.get<{ seats: number }>('SELECT seats FROM hall')!.seats)
        return failure('Full', 'no seats are left');
      if (!resumed) return accepted(milliseconds(10));
      tx.run('INSERT INTO seat VALUES (?, ?)', actionKey, orderId);
      return success({ row });
    },
  }),
  ...bookLocally.slice(1),
];

/** A box office of somebody else, which knows references and outlives the participant's process. */
class BoxOffice {
  readonly booked = new Map<string, string>();
  readonly cancelled = new Set<string>();
  seats = 5;
}

const bookOutside = (office: BoxOffice): Command[] => [
  externalCommand({
    name: 'book',
    kind: 'action',
    reasons: ['Full'],
    input,
    output: Type.Object({ row: Type.String() }),
    intend: (_tx, { orderId }, { row, seats }) => call({ row, seats, orderId }),
    async call({ reference }, { seats, orderId }) {
      await new Promise((resolve) => setImmediate(resolve));
      if (office.cancelled.has(reference) || seats > office.seats) return 'full' as const;
      office.booked.set(reference, orderId);
      return 'booked' as const;
    },
    async lookup({ reference }) {
      return office.booked.has(reference) ? ('booked' as const) : undefined;
    },
    settle: (_tx, _context, { row }, outcome) =>
      outcome === 'full' ? failure('Full', 'no seats are left') : success({ row }),
  }),
  externalCommand({
    name: 'unbook',
    kind: 'compensation',
    undoes: ['book'],
    reasons: [],
    input,
    output: Type.Object({}),
    intend: (_tx, { action }) => call({ reference: action!.reference }),
    async call(_context, { reference }) {
      office.cancelled.add(reference);
      office.booked.delete(reference);
      return 'cancelled';
    },
    async lookup(_context, { reference }) {
      return office.cancelled.has(reference) ? 'cancelled' : undefined;
    },
    settle: () => success({}),
  }),
];

function start(commands: readonly Command[], office: BoxOffice) {
  return ({ dataDir, clock, tokens, commandQueue }: ConformancePorts) => {
    const store = new SqliteStore(openDatabase(join(dataDir, 'seats.db')), {
      migrations: [recordMigrations, outboxMigrations, seatMigrations],
    });
    const seats = route({
      method: 'put',
      path: '/seats/{count}',
      summary: 'Sets how many seats there are',
      response: Type.Object({}),
      async handle({ params }) {
        office.seats = Number(params['count']);
        await store.transact((tx) => tx.run('UPDATE hall SET seats = ?', Number(params['count'])));
        return {};
      },
    });
    const booked = route({
      method: 'get',
      path: '/booked/{order}',
      summary: 'Counts the bookings of an order',
      response: Type.Object({ count: Type.Integer() }),
      handle: ({ params }) =>
        store.read((reader) => {
          const rows = reader.all('SELECT 1 FROM seat WHERE order_id = ?', params['order']!).length;
          return { count: rows + [...office.booked.values()].filter((order) => order === params['order']).length };
        }),
    });
    return startService(
      {
        name: 'seats',
        version: '1',
        store,
        clock,
        tokens,
        commandQueue,
        participant: new Participant({ store, clock, commands }),
        logger: createLogger('seats', 'silent'),
        routes: [seats, booked],
      },
      0,
      '127.0.0.1',
    );
  };
}

const drive = {
  action: 'book',
  compensation: 'unbook',
  body: () => ({ row: 'A', seats: 2 }),
  otherBody: () => ({ row: 'B', seats: 2 }),
  badBody: { row: 'A', seats: 0 },
  failing: {
    body: () => ({ row: 'A', seats: 9 }),
    reason: 'Full',
    repair: async (client: TestClient) => void (await client.call('PUT', '/seats/10', {})),
  },
  effects: async (client: TestClient, orderId: string) =>
    (await client.call('GET', `/booked/${orderId}`)).body['count'] as number,
};

const office = new BoxOffice();
describeParticipant('a participant with local commands', { ...drive, start: start(bookLocally, new BoxOffice()) });
describeParticipant(
  'a participant that answers 202',
  { ...drive, accepts: true, start: start(bookSlowly, new BoxOffice()) },
  { sqs: sharedElasticMq },
);
describeParticipant('a participant with external commands', {
  ...drive,
  start: start(bookOutside(office), office),
  prepare: async () => {
    office.booked.clear();
    office.cancelled.clear();
    office.seats = 5;
  },
});
