import { expect } from 'chai';
import {
  type AcceptedOrder,
  type AcquirerNote,
  type CarrierNote,
  checkConservation,
  type GivenUp,
  type Movement,
  type Observations,
  type ObservedRun,
  type Reservation,
} from './conservation.ts';

type Thawed<T> =
  T extends ReadonlySet<unknown>
    ? T
    : T extends readonly (infer E)[]
      ? Thawed<E>[]
      : T extends object
        ? { -readonly [K in keyof T]: Thawed<T[K]> }
        : T;
type World = Thawed<Observations>;

/** A copy that a test may break. */
const thaw = <T>(value: T): Thawed<T> => structuredClone(value) as Thawed<T>;

const key = (name: string) => `shop/checkout/${name}`;
const accepted = (name: string, quantity: number): AcceptedOrder => ({
  key: key(name),
  total: quantity * 100,
  currency: 'GBP',
  lines: [{ sku: 'MUG', quantity }],
});
const run = (name: string, phase: ObservedRun['phase'], givenUp: GivenUp[] = []): ObservedRun => ({
  key: key(name),
  phase,
  givenUp,
});
const note = (name: string, operation: AcquirerNote['operation'], amount: number, target?: string): AcquirerNote => ({
  operation,
  reference: `${operation}-${name}`,
  orderKey: key(name),
  outcome: 'approved',
  id: `${operation}-id-${name}`,
  amount,
  currency: 'GBP',
  ...(target === undefined ? {} : { target }),
});
const booking = (name: string, units: number): CarrierNote => ({
  operation: 'book',
  outcome: 'booked',
  reference: `book-${name}`,
  orderKey: key(name),
  id: `bk-${name}`,
  units,
});
const movement = (type: Movement['type'], quantity: number, reference = 'some reservation'): Movement => ({
  warehouse: 'leeds',
  sku: 'MUG',
  type,
  quantity,
  reference,
});
const reservation = (name: string, state: Reservation['state'], quantity: number): Reservation => ({
  id: `res-${name}`,
  key: key(name),
  state,
  parts: [{ warehouse: 'leeds', sku: 'MUG', quantity }],
});

/** A completed order of 3, a shipped one of 2, an undone one of 4, a held one of 1, and one that was aborted. All is well. */
function world(): World {
  return thaw<Observations>({
    at: Date.parse('2026-11-22T12:00:00Z'),
    accepted: [
      accepted('done', 3),
      accepted('shipped', 2),
      accepted('undone', 4),
      accepted('held', 1),
      accepted('aborted', 5),
    ],
    runs: [
      run('done', 'Succeeded'),
      run('shipped', 'Succeeded'),
      run('undone', 'Compensated'),
      run('held', 'Held'),
      run('aborted', 'Aborted', [{ decision: 'Abort', kind: 'action', step: 'book-shipment' }]),
    ],
    acquirer: [
      note('done', 'authorise', 300),
      { ...note('done', 'authorise', 300), outcome: 'repeated' },
      note('done', 'capture', 300, 'authorise-id-done'),
      note('shipped', 'authorise', 200),
      note('shipped', 'capture', 200, 'authorise-id-shipped'),
      note('undone', 'authorise', 400),
      note('undone', 'void', 400, 'authorise-id-undone'),
      note('held', 'authorise', 100),
    ],
    carrier: [
      booking('done', 3),
      { ...booking('done', 3), outcome: 'repeated' },
      booking('shipped', 2),
      { ...booking('shipped', 2), operation: 'pick-up', outcome: 'picked-up' },
      booking('undone', 4),
      { ...booking('undone', 4), operation: 'cancel', outcome: 'cancelled', reference: 'cancel-undone' },
    ],
    stock: {
      levels: [{ warehouse: 'leeds', sku: 'MUG', onHand: 18, reserved: 1, committed: 3 }],
      movements: [
        movement('received', 20, 'opening'),
        movement('reserved', 10),
        movement('committed', 5),
        movement('shipped', 2),
        movement('uncommitted', 1),
        movement('committed', 1),
        movement('released', 4),
      ],
      reservations: [
        reservation('done', 'committed', 3),
        reservation('shipped', 'shipped', 2),
        reservation('undone', 'released', 4),
        reservation('held', 'reserved', 1),
      ],
    },
    exceptions: [{ key: key('aborted'), decision: 'Abort', kind: 'action', step: 'book-shipment' }],
    told: [
      { key: key('done'), phase: 'Succeeded' },
      { key: key('held'), phase: 'Held' },
    ],
    broughtIn: [{ reference: 'opening', warehouse: 'leeds', sku: 'MUG', quantity: 20 }],
    mustBeHeld: new Set([key('held')]),
  });
}

/** What each fault in the world is to be seen as. */
const faults: readonly [string, string[], (world: World) => void][] = [
  [
    'loses the run of an accepted order',
    ['one-run-per-order', 'nothing-in-net', 'nothing-shipped', 'reservation-of-a-live-run'],
    (w) => w.runs.splice(0, 1),
  ],
  ['runs an order twice', ['one-run-per-order'], (w) => w.runs.push(w.runs[0]!)],
  ['runs an order that nobody ordered', ['run-of-an-order'], (w) => w.runs.push(thaw(run('ghost', 'Compensated')))],
  ['leaves a run at work', ['all-end'], (w) => (w.runs[2]!.phase = 'Compensating')],
  ['leaves a run that never began', ['all-end'], (w) => (w.runs[2]!.phase = 'Pending')],
  ['holds a run for no reason', ['held-as-expected'], (w) => (w.runs[2]!.phase = 'Held')],
  ['ends a run that must be held', ['held-as-expected'], (w) => (w.mustBeHeld = new Set([key('held'), key('undone')]))],
  ['tells a customer that what completed has failed', ['told-as-it-is'], (w) => (w.told![0]!.phase = 'Compensated')],
  ['does not tell a customer of a hold', ['told-as-it-is'], (w) => (w.told![1]!.phase = 'Running')],
  ['loses an exception record', ['exception-recorded'], (w) => w.exceptions.splice(0, 1)],
  [
    'records another step than the one given up',
    ['exception-recorded', 'exception-founded'],
    (w) => (w.exceptions[0]!.step = 'commit-stock'),
  ],
  [
    'records an exception of a run that gave nothing up',
    ['exception-founded'],
    (w) => w.exceptions.push({ key: key('done'), decision: 'Skip', kind: 'action', step: 'book-shipment' }),
  ],
  ['loses a capture', ['captured-exactly', 'no-open-authorisation'], (w) => w.acquirer.splice(2, 1)],
  [
    'captures twice under one reference',
    ['one-effect-per-operation', 'captured-exactly'],
    (w) => w.acquirer.push(w.acquirer[2]!),
  ],
  [
    'captures twice under two references',
    ['one-effect-per-operation', 'captured-exactly'],
    (w) => w.acquirer.push({ ...w.acquirer[2]!, reference: 'other' }),
  ],
  ['captures another amount', ['captured-exactly'], (w) => (w.acquirer[2]!.amount = 299)],
  ['captures in another currency', ['captured-exactly'], (w) => (w.acquirer[2]!.currency = 'EUR')],
  [
    'returns the money of a completed order',
    ['captured-exactly'],
    (w) => w.acquirer.push(note('done', 'refund', 300, 'capture-id-done')),
  ],
  [
    'authorises twice',
    ['one-effect-per-operation', 'no-open-authorisation'],
    (w) => w.acquirer.push({ ...w.acquirer[0]!, reference: 'other', id: 'other' }),
  ],
  [
    'captures for an undone order',
    ['nothing-in-net'],
    (w) => w.acquirer.push(note('undone', 'capture', 400, 'authorise-id-undone')),
  ],
  ['loses a void', ['no-open-authorisation'], (w) => w.acquirer.splice(6, 1)],
  [
    'takes money for an order that nobody ordered',
    ['effect-of-an-order', 'no-open-authorisation'],
    (w) => w.acquirer.push(note('ghost', 'authorise', 1)),
  ],
  ['loses a shipment', ['shipped-exactly'], (w) => w.carrier.splice(0, 2)],
  [
    'ships twice under one reference',
    ['one-effect-per-operation', 'shipped-exactly'],
    (w) => w.carrier.push(w.carrier[0]!),
  ],
  [
    'ships twice under two references',
    ['shipped-exactly'],
    (w) => w.carrier.push({ ...w.carrier[0]!, reference: 'other', id: 'other' }),
  ],
  [
    'books twice for a held order',
    ['one-effect-per-operation'],
    (w) => w.carrier.push(booking('held', 1), { ...booking('held', 1), reference: 'other', id: 'other' }),
  ],
  ['ships fewer units', ['shipped-exactly'], (w) => (w.carrier[0]!.units = 2)],
  ['loses the cancelling of a booking', ['nothing-shipped'], (w) => w.carrier.splice(5, 1)],
  ['ships to nobody', ['effect-of-an-order', 'nothing-shipped'], (w) => w.carrier.push(booking('ghost', 1))],
  [
    'keeps a hold of an undone order',
    ['reservation-of-a-live-run', 'counters-as-reservations'],
    (w) => (w.stock.reservations[2]!.state = 'reserved'),
  ],
  [
    'keeps goods of an undone order',
    ['reservation-of-a-live-run', 'counters-as-reservations'],
    (w) => (w.stock.reservations[2]!.state = 'committed'),
  ],
  [
    'lets a completed order keep a hold that expires',
    ['reservation-of-a-live-run', 'goods-set-aside', 'counters-as-reservations'],
    (w) => (w.stock.reservations[0]!.state = 'reserved'),
  ],
  [
    'has a hold of no run at all',
    ['reservation-of-a-live-run', 'counters-as-reservations'],
    (w) => w.stock.reservations.push(thaw(reservation('ghost', 'reserved', 1))),
  ],
  [
    'loses the goods of a completed order',
    ['goods-set-aside', 'counters-as-reservations'],
    (w) => w.stock.reservations.splice(0, 1),
  ],
  [
    'sets other goods aside',
    ['goods-set-aside', 'counters-as-reservations'],
    (w) => (w.stock.reservations[0]!.parts[0]!.quantity = 2),
  ],
  [
    'keeps goods that the carrier has picked up',
    ['left-as-picked-up'],
    (w) => w.carrier.push({ ...thaw(booking('done', 3)), operation: 'pick-up', outcome: 'picked-up' }),
  ],
  [
    'lets goods go that the carrier has not picked up',
    ['left-as-picked-up'],
    (w) => (w.carrier = w.carrier.filter(({ outcome }) => outcome !== 'picked-up')),
  ],
  [
    'has a reserved counter that drifted',
    ['counters-as-movements', 'counters-as-reservations'],
    (w) => (w.stock.levels[0]!.reserved = 2),
  ],
  [
    'has a committed counter that drifted',
    ['counters-as-movements', 'counters-as-reservations'],
    (w) => (w.stock.levels[0]!.committed = 4),
  ],
  [
    'loses units on hand',
    ['counters-as-movements', 'stock-in-equals-stock-out'],
    (w) => (w.stock.levels[0]!.onHand = 17),
  ],
  [
    'loses a counter altogether',
    ['counters-as-movements', 'counters-as-reservations', 'stock-in-equals-stock-out'],
    (w) => w.stock.levels.splice(0, 1),
  ],
  [
    'loses the movement of a shipment',
    ['counters-as-movements', 'stock-in-equals-stock-out'],
    (w) => w.stock.movements.splice(3, 1),
  ],
  [
    'books a receipt twice',
    ['adjusted-once', 'counters-as-movements', 'stock-in-equals-stock-out'],
    (w) => w.stock.movements.push(w.stock.movements[0]!),
  ],
  [
    'loses a receipt',
    ['adjusted-once', 'counters-as-movements', 'stock-in-equals-stock-out'],
    (w) => w.stock.movements.splice(0, 1),
  ],
  ['books another quantity than came in', ['adjusted-once'], (w) => (w.broughtIn![0]!.quantity = 19)],
  [
    'oversells',
    ['no-negative-stock', 'counters-as-movements', 'stock-in-equals-stock-out'],
    (w) => (w.stock.levels[0]!.onHand = -1),
  ],
];

describe('the conservation check', () => {
  it('finds nothing where nothing was lost', () => {
    expect(checkConservation(world())).to.deep.equal([]);
  });

  for (const [what, rules, fault] of faults) {
    it(`sees a shop that ${what}`, () => {
      const broken = world();
      fault(broken);
      const violations = checkConservation(broken);
      expect(new Set(violations.map((each) => each.rule))).to.deep.equal(new Set(rules));
      for (const each of violations) {
        expect(each.sentence).to.match(/\S/);
        if (each.order !== undefined) expect(each.sentence, 'names the order').to.include(each.order);
      }
    });
  }

  it('does not judge the effects of a step that was given up', () => {
    const seen = world();
    const skipped = { decision: 'Skip', kind: 'action', step: 'book-shipment' } as const;
    seen.runs[0]!.givenUp.push(skipped);
    seen.exceptions.push({ key: key('done'), ...skipped });
    seen.carrier.splice(0, 2);
    expect(checkConservation(seen)).to.deep.equal([]);
    seen.acquirer.splice(2, 1);
    expect(checkConservation(seen).map((each) => each.rule)).to.include('captured-exactly');
  });

  it('takes a hold on a card that has expired for gone', () => {
    const seen = world();
    seen.acquirer.splice(6, 1);
    seen.acquirer[5]!.expiresAt = '2026-11-22T11:59:59Z';
    expect(checkConservation(seen)).to.deep.equal([]);
  });

  it('takes an exception record for all there is of what was let go with its namespace', () => {
    const seen = world();
    seen.exceptions.push({ key: 'gone/checkout/x', decision: 'LetGo', kind: 'action', step: 'capture-payment' });
    expect(checkConservation(seen)).to.deep.equal([]);
  });
});
